// SPDX-License-Identifier: MIT

/// Chooses one of several servers for a key, so that each server's coming or going moves only its own keys.
///
/// The weight of a server is a 64-bit hash of key and id; the highest wins. The hash is FNV-1a over the key's
/// UTF-8, one byte 0xFF (which no UTF-8 holds) and the id's UTF-8, then a finalizer that spreads the last
/// bytes over all bits, which FNV alone does not. All nodes of a cluster must agree on it: it never changes.
///
/// - Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996; the finalizer of
///   MurmurHash3 (`fmix64`).
public enum Rendezvous {
    /// Returns the id with the highest weight for `key`, or nil when there is none to choose from.
    ///
    /// - Guarantee: the order of `ids` does not matter.
    /// - Complexity: one hash per id.
    public static func pick(key: String, among ids: [String]) -> String? {
        pick(key: key, among: ids.count) { ids[$0] }.map { ids[$0] }
    }

    /// Returns which of `count` has the id with the highest weight for `key`, or nil when there is none; of two that
    /// have one id the first.
    public static func pick(key: String, among count: Int, id: (Int) -> String) -> Int? {
        let prefix = FNV1a.step(FNV1a.hash64(key), 0xFF)
        var best: (place: Int, id: String, weight: UInt64)?
        for place in 0..<max(0, count) {
            let name = id(place)
            let weight = finalize(FNV1a.hash64(name.utf8Span.span, from: prefix))
            if let best {
                let wins = weight == best.weight ? Text(name) < Text(best.id) : weight > best.weight
                guard wins else { continue }
            }
            best = (place, name, weight)
        }
        return best?.place
    }

    private static func finalize(_ hash: UInt64) -> UInt64 {
        var hash = hash
        hash = (hash ^ hash >> 33) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ hash >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ hash >> 33
    }
}

/// FNV-1a with 64 bits: a short, fixed hash that is the same on every machine and in every version.
///
/// - Source: the FNV hash, draft-eastlake-fnv, parameters for 64 bits.
public enum FNV1a {
    package static let basis: UInt64 = 0xCBF2_9CE4_8422_2325
    static let prime: UInt64 = 0x100_0000_01B3

    /// Hashes the UTF-8 of a text.
    public static func hash64(_ text: String) -> UInt64 { hash64(text.utf8Span.span) }

    /// Hashes bytes, or goes on with them.
    @inline(__always)
    package static func hash64(_ bytes: borrowing Span<UInt8>, from state: UInt64 = basis) -> UInt64 {
        var state = state
        for index in bytes.indices { state = step(state, bytes[index]) }
        return state
    }

    @inline(__always)
    static func step(_ state: UInt64, _ byte: UInt8) -> UInt64 {
        (state ^ UInt64(byte)) &* prime
    }
}
