// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What is spoken on a port; several share one, told apart by the first bytes and by the path of a request.
@Loop protocol PortProtocol: AnyObject {
    /// What its clients may cost.
    var limits: SharedLimits { get }
    /// Whether it serves connections whose first bytes are no HTTP.
    var servesBytes: Bool { get }
    /// What connections begin with that it serves before all others; nil when it claims none.
    var firstByte: UInt8? { get }
    /// How the paths of its requests begin; empty takes every path that is nobody else's.
    var path: String { get }
    /// Whether the target of a request is its.
    func takes(_ target: String) -> Bool
    /// Ends what is served without a connection, or wants a word before its connection ends, because the port stops.
    func stop() async
    /// Serves a connection whose first bytes are no HTTP; nil when it is not wanted.
    func serveBytes(of connection: StreamConnection) -> (any StreamUser)?
    /// Whether it answers requests that are none for a WebSocket.
    var answersRequests: Bool { get }
    /// Answers a request, now or later; its body may still be on the way.
    func answer(_ exchange: HTTPExchange)
    /// What to answer at once, before the connection is closed, to a request that is none for a WebSocket; nil for no
    /// such answer.
    func plainAnswer(to request: UpgradeRequest) -> HTTPResponse?
    /// What to answer a request for a WebSocket that is not granted; nil grants it.
    func refusal(of request: UpgradeRequest) -> HTTPResponse?
    /// Which of the subprotocols that a request for a WebSocket offers is spoken; by default the first.
    func subprotocol(of request: UpgradeRequest) -> String?
    /// Serves a WebSocket; nil when it is not wanted.
    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)?
}

extension PortProtocol {
    var firstByte: UInt8? { nil }
    var answersRequests: Bool { false }
    func answer(_ exchange: HTTPExchange) {}
    func plainAnswer(to request: UpgradeRequest) -> HTTPResponse? { nil }
    func takes(_ target: String) -> Bool { target.utf8.starts(with: path.utf8) }
    func refusal(of request: UpgradeRequest) -> HTTPResponse? { nil }
    func subprotocol(of request: UpgradeRequest) -> String? { request.subprotocols.first }
}

/// Who is served over a connection, once it is known what that speaks.
@Loop protocol StreamUser: AnyObject {
    /// The longest WebSocket message that it takes from now on, in bytes.
    var maxMessageBytes: Int { get }
    /// Memory that its own decoder holds, in bytes.
    var heldBytes: Int { get }
    /// Reads bytes of a connection that speaks no HTTP; returns how many it took: all, unless it must wait.
    func read(_ bytes: borrowing Span<UInt8>) -> Int
    /// Reads a WebSocket message from a place in it on; returns how far it came: to the end, unless it must wait.
    ///
    /// What waited counts as binary when it comes again.
    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int
    /// Whether an empty text is a message to it; by default it is a sign of life and nothing else.
    var takesEmptyTexts: Bool { get }
    /// Everything written has been handed to the kernel.
    func drained()
    /// The deadline has passed that it set with `expect`.
    func overdue()
    /// The connection is ending: nothing can be sent any more.
    func ending()
    /// The last call, once.
    func ended(_ end: SessionEnd)
}

extension StreamUser {
    var takesEmptyTexts: Bool { false }
}
