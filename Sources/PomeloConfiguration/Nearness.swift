// SPDX-License-Identifier: MIT
import PomeloBytes

/// How near one name is to another: for words that say what may have been meant, and are silent where nothing is.
package enum Nearness {
    /// The name that is most like this one, if at least half of it is; of several the longest.
    ///
    /// `prefix` is what all names begin with, and says nothing of their likeness.
    static func nearest(to name: String, among known: [String], behind prefix: String = "") -> String? {
        let most = known.map { (name: $0, distance: distance(name, $0)) }.min {
            ($0.distance, $1.name.utf8.count) < ($1.distance, $0.name.utf8.count)
        }
        guard let most else { return nil }
        let length = max(name.utf8.count, most.name.utf8.count) - prefix.utf8.count
        return most.distance * 2 <= length ? most.name : nil
    }

    /// The key that is written otherwise: in other case, with or without dashes, or with one byte more, less or other.
    ///
    /// A short key has neighbours that are words of their own: there the case alone counts.
    static func misspelt(_ key: String, among known: [String]) -> String? {
        known.first { known in
            let (written, meant) = (plain(key), plain(known))
            return key != known && (written == meant || meant.utf8.count > 5 && distance(written, meant) == 1)
        }
    }

    /// A name that begins another, or is one or two bytes from it.
    package static func abbreviates(_ name: String, _ known: String) -> Bool {
        name.utf8.count > 1 && known.utf8.starts(with: name.utf8)
            || distance(name, known) <= min(2, name.utf8.count / 2)
    }

    private static func plain(_ key: String) -> String {
        key.lowercased().filter { $0 != "-" && $0 != "_" }
    }

    /// Bytes to insert, remove, replace, or exchange with the next.
    ///
    /// - Source: F. J. Damerau, 1964; the restricted form, in which what was exchanged is not changed again.
    static func distance(_ one: String, _ other: String) -> Int {
        let (one, other) = (Bytes(one.utf8), Bytes(other.utf8))
        var (before, last) = ([Int](), Array(0...other.count))
        for line in one.indices {
            var row = [line + 1]
            for column in other.indices {
                let replaced = last[column] + (one[line] == other[column] ? 0 : 1)
                var least = min(replaced, last[column + 1] + 1, row[column] + 1)
                if line > 0, column > 0, one[line] == other[column - 1], one[line - 1] == other[column] {
                    least = min(least, before[column - 1] + 1)
                }
                row.append(least)
            }
            (before, last) = (last, row)
        }
        return last[other.count]
    }
}
