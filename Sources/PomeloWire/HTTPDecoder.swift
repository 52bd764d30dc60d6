// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Says why a request cannot be read and with which status to answer before the connection is closed.
public struct HTTPError: Error, Equatable, Sendable {
    /// The status: 400, 413, 417, 431 or 501.
    public let status: Int
    /// What was wrong, for the log; ASCII, under 100 bytes.
    public let reason: String

    /// Creates an error.
    public init(status: Int, reason: String) {
        self.status = status
        self.reason = reason
    }

    static func badRequest(_ reason: String) -> HTTPError { HTTPError(status: 400, reason: reason) }
    static let bodyTooLarge = HTTPError(status: 413, reason: "body too large")
}

/// Finds requests with their bodies in the byte stream of a connection that is kept alive.
///
/// A body is as long as `Content-Length` says, or comes in chunks. Whatever two readers could take for two different
/// lengths is refused: both kinds at once, two lengths, a list, a sign, a chunk size that is no plain hexadecimal
/// number, a bare line feed. Memory grows with what has arrived, never with what was announced.
///
/// - Source: RFC 9112 §6 (length), §7.1 (chunks), §9.3 (keeping alive); RFC 9110 §10.1.1 (`Expect`).
public struct HTTPDecoder: Sendable {
    /// What the bytes so far amount to.
    public enum Step: Equatable, Sendable {
        /// Nothing whole yet; all bytes of the input were taken.
        case needMore
        /// A whole head, which took `consumed` bytes of the last input. The next step is its body if one follows
        /// (answer 100 first when ``UpgradeRequest/expectsContinue``), else the next head, or another protocol.
        case head(UpgradeRequest, bodyFollows: Bool, consumed: Int)
        /// The whole body of the last head, which took `consumed` bytes of the last input.
        case body(Bytes, consumed: Int)
    }

    /// The longest head accepted, in bytes.
    public let maxHeadBytes: Int
    /// The longest body accepted, in bytes; a change holds from the next head on.
    public var maxBodyBytes: Int
    private var head: UpgradeDecoder
    private var body: HTTPBodyReader?

    /// Creates a decoder.
    public init(maxHeadBytes: Int = 8192, maxBodyBytes: Int) {
        self.maxHeadBytes = maxHeadBytes
        self.maxBodyBytes = maxBodyBytes
        head = UpgradeDecoder(maxHeadBytes: maxHeadBytes)
    }

    /// The memory that the part of a request read so far takes, in bytes.
    public var heldBytes: Int { head.heldBytes &+ (body?.heldBytes ?? 0) }

    /// Reads the next bytes of the stream; what a step did not consume is to be given again.
    ///
    /// - Throws: ``HTTPError`` with the status to answer; the stream cannot be used afterwards.
    public mutating func decode(_ input: Span<UInt8>) throws(HTTPError) -> Step {
        if var reader = body.take() {
            var offset = 0
            guard try reader.read(input, &offset, limit: maxBodyBytes) else {
                body = reader
                return .needMore
            }
            return .body(reader.body, consumed: offset)
        }
        let step: UpgradeDecoder.Step
        do throws(WireError) {
            step = try head.decode(input)
        } catch {
            switch error {
            case .tooLarge: throw HTTPError(status: 431, reason: "head too large")
            case .malformed(let reason), .unsupported(let reason): throw .badRequest(reason)
            }
        }
        guard case .request(let request, let consumed) = step else { return .needMore }
        body = try HTTPBodyReader(request, limit: maxBodyBytes)
        return .head(request, bodyFollows: body != nil, consumed: consumed)
    }
}

extension UpgradeRequest {
    /// Whether the client waits for 100 before it sends the body.
    ///
    /// - Source: RFC 9110 §10.1.1.
    public var expectsContinue: Bool {
        isHTTP11 && values("expect").contains { $0.lowercased() == "100-continue" }
    }

    /// Whether the connection may serve another request after this one.
    ///
    /// - Source: RFC 9112 §9.3.
    public var keepsAlive: Bool {
        let options = elements("connection").map { $0.lowercased() }
        return !options.contains("close") && (isHTTP11 || options.contains("keep-alive"))
    }
}
