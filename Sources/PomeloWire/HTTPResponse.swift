// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// An answer to an HTTP request.
///
/// - Source: RFC 9112 §4 (status line), §6.2 (length), §9.3 (keeping alive).
public struct HTTPResponse: Equatable, Sendable {
    /// Tells a client that waits with its body to send it: 100.
    public static let goOn = Bytes("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// The status, 200 or above.
    public var status: Int
    /// The headers, without those of length and connection, which are written by themselves.
    public var headers: [UpgradeRequest.Header]
    /// The body.
    public var body: Bytes

    /// Creates an answer; `contentType` becomes the first header.
    public init(
        status: Int = 200, contentType: String? = nil, headers: [UpgradeRequest.Header] = [], body: Bytes = []
    ) {
        self.status = status
        self.headers = contentType.map { [UpgradeRequest.Header(name: "Content-Type", value: $0)] } ?? []
        self.headers += headers
        self.body = body
    }

    /// Returns the answer to an error in reading a request; the connection is to be closed.
    public init(_ error: HTTPError) {
        self.init(status: error.status)
    }

    /// Writes the answer.
    ///
    /// - Parameters:
    ///   - keepsAlive: whether the connection serves another request.
    ///   - omitsBody: true for an answer to HEAD, which states the length of the body but has none.
    /// - Returns: the whole answer.
    /// - Guarantee: header values cannot end their line: controls in them become blanks.
    /// - Complexity: one allocation.
    public func encoded(keepsAlive: Bool, omitsBody: Bool = false) -> Bytes {
        let hasBody = status != 204 && status != 304
        let writesBody = hasBody && !omitsBody
        let phrase = Self.phrase(status)
        var size = 128 &+ phrase.utf8.count &+ (writesBody ? body.count : 0)
        for header in headers { size &+= header.name.utf8.count &+ header.value.utf8.count &+ 4 }
        var bytes: Bytes = []
        bytes.reserveCapacity(size)
        bytes.append(contentsOf: "HTTP/1.1 ".utf8)
        JSONWriter.write(Int64(status), into: &bytes)
        bytes.append(0x20)
        bytes.append(contentsOf: phrase.utf8)
        bytes.append(contentsOf: "\r\n".utf8)
        for header in headers {
            Self.put(header.name, into: &bytes)
            bytes.append(contentsOf: ": ".utf8)
            Self.put(header.value, into: &bytes)
            bytes.append(contentsOf: "\r\n".utf8)
        }
        if hasBody {
            bytes.append(contentsOf: "Content-Length: ".utf8)
            JSONWriter.write(Int64(body.count), into: &bytes)
            bytes.append(contentsOf: "\r\n".utf8)
        }
        bytes.append(contentsOf: (keepsAlive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n").utf8)
        if writesBody { bytes.put(body.span) }
        return bytes
    }

    private static func put(_ text: String, into bytes: inout Bytes) {
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0..<0x20, 0x7F: bytes.append(0x20)
            // A byte beyond ASCII of a header that was read comes back as that byte.
            case 0x20...0xFF: bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            default: bytes.append(UInt8(ascii: "?"))
            }
        }
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 204: "No Content"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 417: "Expectation Failed"
        case 426: "Upgrade Required"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        default: "Status"
        }
    }
}
