// SPDX-License-Identifier: MIT
import Testing

/// What starts clusters of six processes, one after the other: many of them at once leave a small machine no time for
/// what the tests beside them wait for.
@Suite(.serialized) struct WholeClusters {}
