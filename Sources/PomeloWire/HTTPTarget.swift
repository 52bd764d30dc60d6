// SPDX-License-Identifier: MIT
public import PomeloBytes

/// A request target, cut into its path and its query.
///
/// - Source: RFC 3986 §3.4 (query), §2.1 (percent-encoding); the plus sign for a blank is that of HTML forms.
public struct HTTPTarget: Equatable, Sendable {
    /// One parameter of the query, decoded.
    public struct Parameter: Equatable, Sendable {
        /// The name.
        public let name: String
        /// The value; empty when there is no equals sign.
        public let value: String
    }

    /// What stands before the question mark, as written.
    public let path: String
    /// The parameters in order.
    public let parameters: [Parameter]

    /// Reads a target.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for a percent sign without two digits and for what is no UTF-8;
    ///   ``WireError/tooLarge(limit:)`` for more parameters than `maxParameters`.
    public init(_ target: String, maxParameters: Int = 32) throws(WireError) {
        let bytes = Bytes(target.utf8)
        let mark = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.count
        path = String(decoding: bytes[..<mark], as: UTF8.self)
        var parameters: [Parameter] = []
        for part in bytes[min(mark &+ 1, bytes.count)...].split(separator: UInt8(ascii: "&")) {
            guard parameters.count < maxParameters else { throw .tooLarge(limit: maxParameters) }
            let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
            parameters.append(
                Parameter(
                    name: try Self.decoded(part[..<equals]), value: try Self.decoded(part[equals...].dropFirst())))
        }
        self.parameters = parameters
    }

    /// The value of the first parameter of that name.
    public func value(_ name: String) -> String? {
        parameters.first { Text($0.name) == Text(name) }?.value
    }

    /// The parts of the path between its slashes; an empty last part is left out.
    public var segments: [String] {
        var parts = Bytes(path.utf8).dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if parts.last?.isEmpty == true { parts.removeLast() }
        return parts.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func decoded(_ part: ArraySlice<UInt8>) throws(WireError) -> String {
        var bytes: Bytes = []
        bytes.reserveCapacity(part.count)
        var index = part.startIndex
        while index < part.endIndex {
            switch part[index] {
            case UInt8(ascii: "%"):
                guard part.endIndex &- index > 2, let high = digit(part[index &+ 1]), let low = digit(part[index &+ 2])
                else { throw .malformed("percent sign without two digits") }
                bytes.append(high << 4 | low)
                index &+= 3
            case UInt8(ascii: "+"):
                bytes.append(0x20)
                index &+= 1
            default:
                bytes.append(part[index])
                index &+= 1
            }
        }
        guard let text = bytes.span.text() else { throw .malformed("query is not UTF-8") }
        return text
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
        default: nil
        }
    }
}
