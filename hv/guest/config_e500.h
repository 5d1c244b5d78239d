/* The words of a partition on PowerPC: those that every architecture knows, but none of a parent's. */
#ifndef HV_GUEST_CONFIG_E500_H
#define HV_GUEST_CONFIG_E500_H

#include "hv/guest/config.h"

extern const struct config_arch config_e500;

#endif
