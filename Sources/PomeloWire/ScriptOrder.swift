// SPDX-License-Identifier: MIT
import PomeloBytes

/// The order in which JavaScript walks an object's keys, which versions of texts depend on.
///
/// - Source: ECMAScript, `OrdinaryOwnPropertyKeys`: integer-like keys first, ascending, then by insertion.
enum ScriptOrder {
    static func sorted<Entry>(_ entries: [Entry], by name: (Entry) -> String) -> [Entry] {
        var numbered: [(index: UInt32, entry: Entry)] = []
        var named: [Entry] = []
        for entry in entries {
            if let index = arrayIndex(name(entry)) {
                numbered.append((index, entry))
            } else {
                named.append(entry)
            }
        }
        return numbered.sorted { $0.index < $1.index }.map(\.entry) + named
    }

    private static func arrayIndex(_ key: String) -> UInt32? {
        guard let index = UInt32(key), index < .max, Text(String(index)) == Text(key) else { return nil }
        return index
    }
}
