// SPDX-License-Identifier: MIT

/// The head of an HTTP/1.1 request, of one that asks for an upgrade or of any other.
public struct UpgradeRequest: Equatable, Sendable {
    /// One header line.
    public struct Header: Equatable, Sendable {
        /// The name, in lower case.
        public let name: String
        /// The value without surrounding blanks.
        public let value: String

        /// Creates a header line; `name` in lower case when it is to be compared.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The method, as written.
    public let method: String
    /// The request target, which begins with a slash.
    public let path: String
    /// Whether the request says HTTP/1.1 rather than 1.0.
    public let isHTTP11: Bool
    /// The headers in order.
    public let headers: [Header]

    /// All values of a header; `name` in lower case.
    public func values(_ name: String) -> [String] {
        headers.filter { $0.name == name }.map(\.value)
    }

    /// The subprotocols that are offered for a WebSocket, the best first.
    public var subprotocols: [String] { elements("sec-websocket-protocol") }

    /// The elements of a comma-separated header, over all its lines.
    func elements(_ name: String) -> [String] {
        values(name).flatMap { $0.split(separator: ",") }.map { HTTPHead.trimmed($0) }.filter { !$0.isEmpty }
    }
}
