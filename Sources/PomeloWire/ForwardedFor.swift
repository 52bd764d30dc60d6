// SPDX-License-Identifier: MIT
import PomeloBytes

/// Which header of a request a proxy says in whom it speaks for.
///
/// One of them only: a proxy writes one, and passes the other on as the client has made it up.
///
/// - Source: RFC 7239, section 4 (`Forwarded`), section 7.4 (what came before it: `X-Forwarded-For`).
public enum ForwardedHeader: String, Sendable, CaseIterable {
    /// `X-Forwarded-For: 192.0.2.7, 198.51.100.1`
    case xForwardedFor
    /// `Forwarded: for=192.0.2.7;proto=https, for="[2001:db8::1]:4711"`
    case forwarded
    /// None is believed.
    case none
}

extension UpgradeRequest {
    /// Whom a request is from that came from `peer`, as far as those say it who are trusted.
    ///
    /// Read from the end, where the nearest proxy has written: whom a trusted one names counts, and is believed further
    /// only if it is a trusted one itself. What a client has made up in front of that is never reached.
    ///
    /// - Returns: the address, and its port where that is said; nil when `peer` is not trusted, or names nobody.
    public func client(
        behind peer: IPAddress, trusting proxies: AddressSet, by header: ForwardedHeader
    ) -> (address: IPAddress, port: UInt16)? {
        guard proxies.contains(peer) else { return nil }
        var client: (address: IPAddress, port: UInt16)?
        for name in forwardedNames(header).reversed() {
            guard let next = Self.node(name) else { break }
            client = next
            guard proxies.contains(next.address) else { break }
        }
        return client
    }

    private func forwardedNames(_ header: ForwardedHeader) -> [Substring.UTF8View] {
        switch header {
        case .none: []
        case .xForwardedFor:
            values("x-forwarded-for").flatMap { $0.utf8[...].split(separator: UInt8(ascii: ",")) }.map(Self.trimmed)
        case .forwarded:
            values("forwarded").flatMap { Self.parts($0.utf8[...], at: UInt8(ascii: ",")) }.map(Self.forParameter)
        }
    }

    /// The value of `for` in an element; empty, which is nobody, where it is missing or there twice.
    private static func forParameter(_ element: Substring.UTF8View) -> Substring.UTF8View {
        let none = ""[...].utf8
        var found: Substring.UTF8View?
        for pair in parts(element, at: UInt8(ascii: ";")).map(trimmed) {
            guard pair.count > 4, pair.prefix(4).elementsEqual("for=".utf8, by: { $0 | 0x20 == $1 | 0x20 }) else {
                continue
            }
            guard found == nil else { return none }
            found = pair.dropFirst(4)
        }
        guard var value = found else { return none }
        let quote = UInt8(ascii: "\"")
        if value.first == quote {
            guard value.count >= 2, value.last == quote else { return none }
            value = value.dropFirst().dropLast()
        }
        return value
    }

    /// Splits where no quotation marks are around the separator; empty parts are left out.
    private static func parts(_ text: Substring.UTF8View, at separator: UInt8) -> [Substring.UTF8View] {
        var parts: [Substring.UTF8View] = []
        var (start, isQuoted, isEscaped) = (text.startIndex, false, false)
        for index in text.indices {
            let byte = text[index]
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == separator, !isQuoted {
                if start < index { parts.append(text[start..<index]) }
                start = text.index(after: index)
            }
        }
        if start < text.endIndex { parts.append(text[start...]) }
        return parts
    }

    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text
        while let byte = text.first, byte == 0x20 || byte == 9 { text = text.dropFirst() }
        while let byte = text.last, byte == 0x20 || byte == 9 { text = text.dropLast() }
        return text
    }

    /// `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; nil for other names, `unknown`
    /// and `_hidden` among them.
    private static func node(_ name: Substring.UTF8View) -> (address: IPAddress, port: UInt16)? {
        let colon = UInt8(ascii: ":")
        var (host, port) = (name, name[name.endIndex...])
        if name.first == UInt8(ascii: "[") {
            guard let end = name.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = name[..<end].dropFirst()
            let rest = name[end...].dropFirst()
            guard rest.isEmpty || rest.first == colon else { return nil }
            port = rest.dropFirst()
            guard host.contains(colon) else { return nil }
        } else if let end = name.firstIndex(of: colon), end == name.lastIndex(of: colon) {
            host = name[..<end]
            port = name[end...].dropFirst()
        }
        guard host.count <= 64, let address = IPAddress(String(Substring(host))) else { return nil }
        // A port may be hidden too; nothing depends on it.
        return (address, UInt16(String(Substring(port))) ?? 0)
    }
}
