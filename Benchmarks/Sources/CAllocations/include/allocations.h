// SPDX-License-Identifier: MIT
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

/// How often this process has allocated memory on the heap.
long allocations(void);

#endif
