// SPDX-License-Identifier: MIT
public import PomeloBytes

/// How the messages of one WebSocket are compressed: what a server has made of a client's offers of permessage-deflate.
///
/// The server never refers to messages that it has sent before, so that one compressed message serves everybody; the
/// client does only where it is allowed to.
///
/// - Source: RFC 7692 §7.1.
public struct DeflateAgreement: Equatable, Sendable {
    /// How far back the server's messages refer at most, as a power of two: 9 to 15.
    public let serverWindowBits: Int
    /// The same of the client's messages: 8 to 15.
    public let clientWindowBits: Int
    /// Whether the client's messages may refer to those before.
    public let clientKeepsContext: Bool
    /// Whether the client has asked for the limit in `serverWindowBits`, which is to be said in the answer then.
    private let limitsServer: Bool

    /// The value of the header with which the server agrees.
    public var answer: String {
        "permessage-deflate; server_no_context_takeover" + (clientKeepsContext ? "" : "; client_no_context_takeover")
            + (limitsServer ? "; server_max_window_bits=\(serverWindowBits)" : "")
    }

    /// Judges one offer; nil declines it, for an extension, a parameter or a value that is not known, one that comes
    /// twice, and a window of 256 bytes, which zlib does not deflate for.
    init?(_ offer: ExtensionOffer, keepsClientContext: Bool) {
        guard offer.name == "permessage-deflate" else { return nil }
        var (serverBits, clientBits): (Int?, Int?)
        var seen: [String] = []
        for parameter in offer.parameters {
            guard !seen.contains(parameter.name) else { return nil }
            seen.append(parameter.name)
            switch (parameter.name, parameter.value) {
            case ("server_no_context_takeover", nil), ("client_no_context_takeover", nil): break
            case ("server_max_window_bits", let value?):
                guard let bits = Self.windowBits(value), bits > 8 else { return nil }
                serverBits = bits
            case ("client_max_window_bits", let value?):
                guard let bits = Self.windowBits(value) else { return nil }
                clientBits = bits
            case ("client_max_window_bits", nil): break
            default: return nil
            }
        }
        serverWindowBits = serverBits ?? 15
        clientWindowBits = clientBits ?? 15
        limitsServer = serverBits != nil
        clientKeepsContext = keepsClientContext && !seen.contains("client_no_context_takeover")
    }

    /// 8 to 15, without a zero in front.
    private static func windowBits(_ text: String) -> Int? {
        guard text.utf8.count <= 2, text.utf8.first != UInt8(ascii: "0"),
            text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let bits = Int(text)
        else { return nil }
        return (8...15).contains(bits) ? bits : nil
    }
}

extension UpgradeRequest {
    /// What comes of the client's offers of permessage-deflate: the first that can be agreed to, or nil.
    ///
    /// - Parameter keepsClientContext: whether the client's messages may refer to those before.
    /// - Returns: nil without an offer, or when every one is declined.
    /// - Throws: `WireError` `.malformed` for a header that is no list of extensions: the request is broken.
    /// - Source: RFC 6455 §9.1; RFC 7692 §5, §7.1.
    public func deflateAgreement(keepsClientContext: Bool = false) throws(WireError) -> DeflateAgreement? {
        for offer in try ExtensionOffer.list(values("sec-websocket-extensions").joined(separator: ",")) {
            if let agreement = DeflateAgreement(offer, keepsClientContext: keepsClientContext) { return agreement }
        }
        return nil
    }
}
