/* SPDX-License-Identifier: MIT */
/* Telling a service manager how we are (sd_notify(3)), where NOTIFY_SOCKET says so. */
#pragma once

/* Send lines such as "READY=1". Nothing happens without NOTIFY_SOCKET. 0 or -EXXX. */
int cli_notify(const char *text);
