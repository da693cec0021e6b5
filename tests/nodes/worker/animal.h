/* SPDX-License-Identifier: MIT */
/* See animal.c. */
#pragma once

enum { ANIMAL_ATTEMPTS = 24 }; /* of the fence test */

/* -1: this is the test itself. */
int animal_main(int argc, char **argv);
