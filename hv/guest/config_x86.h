/*
 * The words of a partition that x86 has:
 *
 *   policy=SETTING[,SETTING...]   enlightenments=on|off   firmware=acpi|mp|both   pool=PAGES   record=entries
 *   stop-port=on|off
 *
 * A setting of `policy=` is one of
 *   cr3.cache=ignore|honor   table.cache=write-back|message|honor   cr0.cd=ignore|message|honor
 *   pat=vp|partition         sharing=on|off                         flush.empty=all|error
 */
#ifndef HV_GUEST_CONFIG_X86_H
#define HV_GUEST_CONFIG_X86_H

#include "hv/guest/config.h"

extern const struct config_arch config_x86;

#endif
