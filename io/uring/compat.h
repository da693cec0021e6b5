/* SPDX-License-Identifier: MIT */
/*
 * Constants of kernels newer than the headers of liburing 2.3 (Debian 12). Each is used only after
 * the running kernel said that it knows it (io/uring/setup.c). Values from Linux
 * include/uapi/linux/io_uring.h; the comment names the first kernel.
 */
#pragma once

#include <liburing.h>

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* 6.6 */
#endif

#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17) /* 6.15 */
#endif

#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) /* 6.15, with IORING_FEAT_NO_IOWAIT */
#endif

/*
 * sqe->optlen: of a multishot receive, the bytes after which it ends (6.17). It shares its place with
 * file_index, which older kernels want to be 0 here: they answer EINVAL.
 */
#define SL_SQE_OPTLEN file_index
