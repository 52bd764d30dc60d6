// SPDX-License-Identifier: MIT
public import PomeloBytes

/// What to answer to a request head.
public enum UpgradeVerdict: Equatable, Sendable {
    /// A WebSocket may begin: answer with ``UpgradeReply/accept(key:protocol:extensions:sha1:)``.
    case accept(key: String, subprotocol: String?)
    /// A plain HTTP request.
    case upgradeRequired
    /// A WebSocket of a version not spoken here.
    case versionMismatch
    /// A broken request.
    case badRequest
}

extension UpgradeRequest {
    /// Judges the request by the rules of the WebSocket opening handshake.
    ///
    /// Any path and any origin is let in, as in pomelo; of several subprotocols the first is chosen.
    ///
    /// - Source: RFC 6455 §4.2.1; pomelo 2.2.7, lib/connectors/hybrid/wsprocessor.js.
    public func verdict() -> UpgradeVerdict {
        let upgrades = elements("upgrade").contains { $0.lowercased() == "websocket" }
        let connects = elements("connection").contains { $0.lowercased() == "upgrade" }
        guard method == "GET", upgrades, connects else { return .upgradeRequired }
        let hasBody = !values("transfer-encoding").isEmpty || values("content-length").contains { $0 != "0" }
        guard isHTTP11, values("host").count == 1, !hasBody else { return .badRequest }
        let versions = values("sec-websocket-version")
        guard versions == ["13"] || versions == ["8"] else { return .versionMismatch }
        let keys = values("sec-websocket-key")
        guard keys.count == 1, let key = keys.first, Base64.isSixteenBytes(key) else { return .badRequest }
        let subprotocol = subprotocols.first
        if let subprotocol, !subprotocol.utf8.allSatisfy(HTTPHead.isToken) { return .badRequest }
        return .accept(key: key, subprotocol: subprotocol)
    }

    /// Returns the head with which a client opens a WebSocket.
    ///
    /// - Source: RFC 6455 §4.1.
    public static func clientHead(host: String, path: String = "/", key: String) -> Bytes {
        UpgradeReply.head(
            "GET \(path) HTTP/1.1",
            [
                "Host: \(host)", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: \(key)",
                "Sec-WebSocket-Version: 13",
            ])
    }
}

/// The server's answers to an HTTP request, as whole heads without a body.
///
/// All but ``accept(key:protocol:extensions:sha1:)`` announce that the connection closes.
public enum UpgradeReply {
    /// Asks a plain HTTP client to speak WebSocket: 426.
    public static let upgradeRequired = head(
        "HTTP/1.1 426 Upgrade Required",
        ["Upgrade: websocket", "Connection: close, Upgrade", "Content-Length: 0"])
    /// Refuses a WebSocket version and names the one spoken here: 426.
    public static let versionMismatch = head(
        "HTTP/1.1 426 Upgrade Required",
        [
            "Upgrade: websocket", "Connection: close, Upgrade", "Sec-WebSocket-Version: 13",
            "Content-Length: 0",
        ])
    /// Refuses a broken request: 400.
    public static let badRequest = head(
        "HTTP/1.1 400 Bad Request", ["Connection: close", "Content-Length: 0"])
    /// Refuses an overlong head: 431.
    public static let headTooLarge = head(
        "HTTP/1.1 431 Request Header Fields Too Large", ["Connection: close", "Content-Length: 0"])

    /// Returns the answer after which the WebSocket begins: 101.
    ///
    /// - Parameters:
    ///   - key: the client's `Sec-WebSocket-Key`.
    ///   - subprotocol: the one chosen from the client's offer.
    ///   - extensions: what was agreed on, as ``DeflateAgreement/answer`` spells it.
    ///   - sha1: the SHA-1 hash.
    /// - Returns: the whole head.
    /// - Source: RFC 6455 §4.2.2.
    public static func accept(
        key: String, protocol subprotocol: String?, extensions: String? = nil, sha1: (Bytes) -> Bytes
    ) -> Bytes {
        var lines = [
            "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Accept: \(acceptKey(for: key, sha1: sha1))",
        ]
        if let subprotocol { lines.append("Sec-WebSocket-Protocol: \(subprotocol)") }
        if let extensions { lines.append("Sec-WebSocket-Extensions: \(extensions)") }
        return head("HTTP/1.1 101 Switching Protocols", lines)
    }

    /// Returns the proof that a server has read the client's key.
    public static func acceptKey(for key: String, sha1: (Bytes) -> Bytes) -> String {
        Base64.encode(sha1(Bytes((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    /// Reads a server's answer, for clients: the length of its head once it is all there, nil before.
    ///
    /// - Throws: ``WireError/unsupported(_:)`` for any answer but 101, ``WireError/malformed(_:)`` for a wrong
    ///   proof, ``WireError/tooLarge(limit:)`` for a head over 8 KiB.
    /// - Source: RFC 6455 §4.1.
    public static func acceptedLength(
        _ input: Span<UInt8>, key: String, sha1: (Bytes) -> Bytes
    ) throws(WireError) -> Int? {
        guard let end = HTTPHead.end(input, from: 0) else {
            if input.count > 8192 { throw .tooLarge(limit: 8192) }
            return nil
        }
        let head = String(decoding: input.extracting(0..<end).copied(), as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        guard lines.first?.hasPrefix("HTTP/1.1 101") == true else {
            throw .unsupported(lines.first.map(String.init) ?? "no status line")
        }
        let proof = "sec-websocket-accept:"
        let given = lines.first { $0.lowercased().hasPrefix(proof) }.map {
            HTTPHead.trimmed($0.dropFirst(proof.count))
        }
        guard given == acceptKey(for: key, sha1: sha1) else { throw .malformed("Sec-WebSocket-Accept") }
        return end
    }

    static func head(_ first: String, _ lines: [String]) -> Bytes {
        Bytes((([first] + lines).joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }
}
