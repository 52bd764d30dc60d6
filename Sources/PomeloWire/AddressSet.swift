// SPDX-License-Identifier: MIT
public import PomeloBytes

/// The addresses whose first bits are the same: `192.0.2.0/24`, or a single one.
///
/// - Source: RFC 4632, section 3.1; RFC 4291, section 2.3.
public struct AddressNetwork: Hashable, Sendable {
    /// The first address of it.
    public let first: IPAddress
    /// How many bits are the same.
    public let length: Int

    /// The network of an address; a length beyond what the address has is all of it.
    public init(of address: IPAddress, length: Int) {
        self.length = max(0, min(length, address.width))
        if address.isIPv4 {
            let mask = self.length == 0 ? 0 : UInt32.max << UInt32(32 &- self.length)
            first = IPAddress(v4: UInt32(truncatingIfNeeded: address.low) & mask)
        } else {
            let high = ~(UInt64.max >> UInt64(self.length))
            let low = self.length <= 64 ? 0 : ~(UInt64.max >> UInt64(self.length &- 64))
            first = IPAddress(high: address.high & high, low: address.low & low)
        }
    }

    /// Reads an address, or an address, a slash and a length; nil for anything else, also when bits behind the length
    /// are set: whoever wrote those meant something else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, !name.contains("%"), let address = IPAddress(String(name)) else { return nil }
        guard parts.count == 2 else {
            self.init(of: address, length: address.width)
            return
        }
        let digits = parts[1].utf8
        guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            digits.count == 1 || digits.first != 0x30, var length = Int(parts[1])
        else { return nil }
        // The length of a mapped address counts the bits in front of it.
        if address.isIPv4, name.contains(":") {
            guard length >= 96 else { return nil }
            length &-= 96
        }
        guard length <= address.width else { return nil }
        self.init(of: address, length: length)
        guard first == address else { return nil }
    }

    /// An address, with its length unless it is a single one.
    public var text: String { length == first.width ? first.text : "\(first.text)/\(length)" }
}

/// A set of networks, and whether an address is in one of them.
///
/// - Complexity: a look for each length that there is, whatever the number of networks.
public struct AddressSet: Sendable, Equatable {
    private var networks: [Int: Set<AddressNetwork>] = [:]

    /// None.
    public init() {}

    /// Those of texts; the first that is none is thrown as ``WireError/malformed(_:)``.
    public init(_ texts: [String]) throws(WireError) {
        for text in texts {
            guard let network = AddressNetwork(text) else { throw .malformed("address or network") }
            insert(network)
        }
    }

    /// How many there are.
    public var count: Int { networks.values.reduce(0) { $0 &+ $1.count } }
    /// Whether there is none.
    public var isEmpty: Bool { networks.isEmpty }
    /// All of them, in no particular order.
    public var all: [AddressNetwork] { networks.values.flatMap { $0 } }

    /// Adds one; false when it was there.
    @discardableResult
    public mutating func insert(_ network: AddressNetwork) -> Bool {
        networks[network.length, default: []].insert(network).inserted
    }

    /// Removes one; false when it was not there.
    ///
    /// A network that holds it stays.
    @discardableResult
    public mutating func remove(_ network: AddressNetwork) -> Bool {
        guard networks[network.length]?.remove(network) != nil else { return false }
        if networks[network.length]?.isEmpty == true { networks[network.length] = nil }
        return true
    }

    /// Whether one of them holds the address.
    public func contains(_ address: IPAddress) -> Bool {
        networks.contains { length, those in
            length <= address.width && those.contains(AddressNetwork(of: address, length: length))
        }
    }

    /// The same for the text of one; what is no address is in none.
    public func contains(_ text: String) -> Bool {
        !isEmpty && IPAddress(text).map { contains($0) } == true
    }
}
