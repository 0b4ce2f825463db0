/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RSTREAMCTL_SERVICE_H
#define RSTREAMCTL_SERVICE_H

/* Tells the service manager that started this process, if it wants to know (sd_notify(3)), e.g. "READY=1". */
void tell_service_manager(const char *state);

#endif
