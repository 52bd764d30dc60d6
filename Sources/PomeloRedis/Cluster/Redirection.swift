// SPDX-License-Identifier: MIT
import PomeloLoop

/// What a node of a cluster answers instead of executing a command.
///
/// - Source: Redis Cluster specification, "Redirection and resharding".
enum Redirection: Equatable {
    /// The slot is at another node now; a host that is empty is that of the node which says so.
    case moved(KeySlot, SocketAddress)
    /// This key, and no other of its slot, is at another node already.
    case ask(KeySlot, SocketAddress)
    /// Some keys of the command are here and some there: they will all be there soon.
    case tryAgain
    /// The cluster, or the node, cannot serve at the moment.
    case down(String)

    /// Nil when the text of the error is no redirection; one that is malformed is none.
    init?(_ text: String) {
        // By bytes: a space with an accent is one character, and ends a word all the same.
        let words = text.utf8.split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
        switch words.first {
        case "MOVED" where words.count == 3, "ASK" where words.count == 3:
            guard let number = Int(words[1]), (0..<KeySlot.count).contains(number), let place = Self.place(words[2])
            else { return nil }
            let slot = KeySlot(number: number)
            self = words[0] == "MOVED" ? .moved(slot, place) : .ask(slot, place)
        case "TRYAGAIN": self = .tryAgain
        case "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY": self = .down(text)
        default: return nil
        }
    }

    /// `host:port`, `:port`, or an IPv6 address without brackets; `host:port@bus` and a name behind a comma are cut.
    private static func place(_ word: String) -> SocketAddress? {
        let text = word.utf8.prefix { $0 != UInt8(ascii: "@") && $0 != UInt8(ascii: ",") }
        guard let colon = text.lastIndex(of: UInt8(ascii: ":")),
            let port = Int(Substring(text[text.index(after: colon)...])), (1...65_535).contains(port)
        else { return nil }
        let host = String(Substring(text[..<colon]))
        if host.isEmpty || host == "?" { return SocketAddress(host: "", port: port) }
        return SocketAddress.host(host).map { SocketAddress(host: $0, port: port) }
    }

    /// The place as it is reached from here, when the node at `teller` said it.
    static func resolved(_ place: SocketAddress, saidBy teller: SocketAddress) -> SocketAddress {
        place.host.isEmpty ? SocketAddress(host: teller.host, port: place.port) : place
    }
}
