/*
 * The words of a partition that PowerPC has:
 *
 *   paravirtual=on|off
 */
#ifndef HV_GUEST_CONFIG_E500_H
#define HV_GUEST_CONFIG_E500_H

#include "hv/guest/config.h"

extern const struct config_arch config_e500;

#endif
