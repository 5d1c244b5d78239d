/*
 * What a person or a program can ask about a running partition (request.h), and what is said when it ends: on the control
 * port, documents of JSON, one a line, and text for people, which begins with no brace and ends with an empty line.
 */
#ifndef HV_MONITOR_MONITOR_H
#define HV_MONITOR_MONITOR_H

#include "hv/vp/vp.h"

/* Say, by an empty line, that requests are heard from now on: what came in before may be lost. */
void monitor_ready(void);

/* Answer requests that came in on the control port. No lock is held. */
void monitor_poll(void);

/* Write the document about @partition as it stands now. */
void monitor_report(struct partition *partition);

/* Write the document of a hypervisor that refused to start a partition. */
void monitor_refused(const char *message);

/* Tell a person on the console how a partition ended, if it did not end well. */
void monitor_obituary(struct partition *partition);

#endif
