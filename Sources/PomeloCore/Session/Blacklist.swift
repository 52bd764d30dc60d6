// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloLoop
import PomeloWire

/// Addresses and networks whose clients a server does not serve: `app.blacklist`, for all of its connectors.
///
/// Who is connected stays; who connects is closed before a byte of it is read, or as soon as a trusted proxy has said
/// whom it speaks for. It is empty at each start; what is to stay is in `blacklist` of `connector.json`.
///
/// - Source: pomelo 2.2.7, lib/components/connector.js (`blacklist`), whose entries were regular expressions that
///   matched anywhere in an address: `1.1.1.1` also closed `11.1.1.10`.
@Loop public final class Blacklist {
    /// As many as there may be.
    public nonisolated static let maxEntries = 65_536

    private var addresses = AddressSet()

    /// Empty.
    public nonisolated init() {}

    /// Adds addresses (`192.0.2.7`, `2001:db8::7`) and networks (`192.0.2.0/24`), all or none; returns how many are
    /// new.
    ///
    /// - Throws: `Fault` 400 naming the first that is neither, or when there would be more than `maxEntries`.
    @discardableResult
    public func add(_ entries: [String]) throws(Fault) -> Int {
        let networks = try Self.networks(entries)
        guard addresses.count + networks.count <= Self.maxEntries else {
            throw Fault(400, "the blacklist has room for \(Self.maxEntries) entries")
        }
        return networks.count { addresses.insert($0) }
    }

    /// Removes entries as they were added; returns how many there were.
    ///
    /// - Throws: `Fault` 400 naming the first that is neither an address nor a network.
    @discardableResult
    public func remove(_ entries: [String]) throws(Fault) -> Int {
        try Self.networks(entries).count { addresses.remove($0) }
    }

    private static func networks(_ entries: [String]) throws(Fault) -> [AddressNetwork] {
        var networks: [AddressNetwork] = []
        for entry in entries {
            guard let network = AddressNetwork(entry) else {
                throw Fault(
                    400, "\(entry.forLog) is no address and no network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")
            }
            networks.append(network)
        }
        return networks
    }

    /// What it has, as texts in their order.
    public var entries: [String] { addresses.all.map { Text($0.text) }.sorted().map(\.string) }
    /// How many entries it has.
    public var count: Int { addresses.count }

    /// Whether an address is in it; what is no numeric address is not.
    public func contains(_ address: SocketAddress) -> Bool { addresses.contains(address.host) }
}
