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

    /// Bytes to insert, remove or replace.
    ///
    /// - Source: V. I. Levenshtein, 1966.
    static func distance(_ one: String, _ other: String) -> Int {
        let other = Bytes(other.utf8)
        var row = Array(0...other.count)
        for (line, byte) in one.utf8.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in other.indices {
                let replaced = diagonal + (other[column] == byte ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[other.count]
    }
}
