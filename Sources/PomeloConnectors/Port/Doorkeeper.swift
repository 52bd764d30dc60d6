// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
public import PomeloLoop
public import PomeloWire

/// Whether proxies say in front of a connection whom they speak for.
///
/// - Source: HAProxy's `doc/proxy-protocol.txt`, versions 1 and 2.
public enum ProxyProtocol: String, Sendable, CaseIterable {
    /// Nobody does.
    case off
    /// Trusted proxies may; whoever connects through one that does not could do it himself.
    case optional
    /// Trusted proxies must; others, who connect by themselves, may not.
    case required
}

/// Who may connect, and which proxies are believed in whom they speak for.
///
/// On a port that connectors share the rules of the first in `Application.connectors` count for all.
///
/// - Source: ours, but for `blacklist` and `isBlocked`: pomelo 2.2.7, lib/components/connector.js (`useHostFilter`,
///   `blacklistFun`).
public struct AccessRules: Sendable {
    /// Addresses and networks, of IPv4 and IPv6, whose clients are closed before a byte of them is read.
    ///
    /// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`; no patterns. `Application.blacklist` is asked too.
    public var blacklist: [String] = []
    /// Asked about each client that no list has; when it throws, the client is served.
    ///
    /// Nothing of the client is heard meanwhile, within `ClientLimits.handshakeTimeout`.
    public var isBlocked: (@Loop @Sendable (SocketAddress) async throws -> Bool)?
    /// Addresses and networks of proxies that are believed in whom they speak for; nobody else is.
    ///
    /// Only those belong here that themselves write what they are believed by, and write it for everybody.
    public var trustedProxies: [String] = []
    /// Whether they say it in front of a connection.
    public var proxyProtocol = ProxyProtocol.off
    /// The header in which they say it, with HTTP; the nearest that is no trusted proxy is the client.
    public var forwardedHeader = ForwardedHeader.xForwardedFor

    /// Everybody may connect, and nobody is believed.
    public init() {}

    /// Whether nothing that others say is missing here: those of a connector that shares the port.
    func cover(_ others: AccessRules) -> Bool {
        (others.blacklist.isEmpty || others.blacklist == blacklist)
            && (others.trustedProxies.isEmpty || others.trustedProxies == trustedProxies)
            && (others.proxyProtocol == .off || others.proxyProtocol == proxyProtocol)
    }

    mutating func read(_ reader: inout OptionReader) throws {
        blacklist = try Self.addresses("blacklist", &reader) ?? blacklist
        trustedProxies = try Self.addresses("trustedProxies", &reader) ?? trustedProxies
        proxyProtocol = try reader.choice("proxyProtocol") ?? proxyProtocol
        forwardedHeader = try reader.choice("forwardedHeader") ?? forwardedHeader
    }

    private static func addresses(_ key: String, _ reader: inout OptionReader) throws -> [String]? {
        let texts = try reader.strings(key)
        if let wrong = texts.first(where: { AddressNetwork($0) == nil }) {
            throw reader.misfit(key, mustBe: form, not: wrong.forLog)
        }
        return texts.isEmpty ? nil : texts
    }

    fileprivate static let form = "addresses and networks, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
}

/// The rules of a port in the form in which they are needed.
@Loop final class Doorkeeper {
    let proxies: AddressSet
    let proxyProtocol: ProxyProtocol
    let isBlocked: (@Loop @Sendable (SocketAddress) async throws -> Bool)?
    private let header: ForwardedHeader
    private let blocked: AddressSet
    private let blacklist: Blacklist

    /// - Throws: `PomeloError` `.configuration` naming the option.
    nonisolated init(_ rules: AccessRules, _ blacklist: Blacklist = Blacklist()) throws(PomeloError) {
        blocked = try Self.addresses(rules.blacklist, "blacklist")
        proxies = try Self.addresses(rules.trustedProxies, "trustedProxies")
        guard rules.proxyProtocol == .off || !proxies.isEmpty else {
            throw PomeloError(
                .configuration,
                "proxyProtocol is \(rules.proxyProtocol.rawValue), but trustedProxies names no proxy to believe")
        }
        self.blacklist = blacklist
        proxyProtocol = rules.proxyProtocol
        header = rules.forwardedHeader
        isBlocked = rules.isBlocked
    }

    /// Lets everybody in, and believes nobody.
    nonisolated init() {
        (blocked, proxies, proxyProtocol, header) = (AddressSet(), AddressSet(), .off, .none)
        blacklist = Blacklist()
        isBlocked = nil
    }

    private nonisolated static func addresses(_ texts: [String], _ option: String) throws(PomeloError) -> AddressSet {
        var set = AddressSet()
        for text in texts {
            guard let network = AddressNetwork(text) else {
                throw PomeloError(.configuration, "\(option) must be \(AccessRules.form), and not \(text.forLog)")
            }
            set.insert(network)
        }
        return set
    }

    func blocks(_ address: SocketAddress) -> Bool { blocked.contains(address.host) || blacklist.contains(address) }

    /// Whether an address is that of a proxy, who speaks for others.
    func trusts(_ address: SocketAddress) -> Bool { proxies.contains(address.host) }

    /// Whether bytes that nobody was asked for begin with a proxy's header, or may: nil until that is known.
    func isForged(_ start: Bytes) -> Bool? {
        guard proxyProtocol != .off else { return false }
        return start.count < 4 ? (ProxyDecoder.mayBegin(start) ? nil : false) : ProxyDecoder.begins(start)
    }

    /// Whom a request is from that a trusted proxy has sent; nil when nobody is named.
    func client(of request: UpgradeRequest, behind peer: SocketAddress) -> SocketAddress? {
        guard !proxies.isEmpty, let peer = IPAddress(peer.host),
            let client = request.client(behind: peer, trusting: proxies, by: header)
        else { return nil }
        return SocketAddress(host: client.address.text, port: Int(client.port))
    }
}
