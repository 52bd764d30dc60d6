// SPDX-License-Identifier: MIT
package import PomeloLoop

/// What happened, in order.
@Loop package final class Journal<Entry> {
    package var entries: [Entry] = []

    package nonisolated init() {}

    package func note(_ entry: Entry) { entries.append(entry) }
}
