// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What carries packages.
enum PackageCarrier { case stream, webSocket, datagrams }

/// A connection as who speaks packages over it sees it: one of a stream, or one of datagrams.
@Loop protocol PackageConnection: AnyObject {
    associatedtype Port: PackagePort

    var port: Port { get }
    /// What `clients` of servers.json calls its connector.
    var connectorType: String { get }
    var carrier: PackageCarrier { get }
    var limits: SharedLimits { get }
    var remoteAddress: SocketAddress { get }
    var queuedBytes: Int { get }
    var peerHasHungUp: Bool { get }
    var finished: Bool { get }
    /// When what is being decoded was read.
    var arrival: UInt64 { get }
    var lastActivity: UInt64 { get set }

    // MARK: its share
    /// Whether the next package may be decoded now.
    var mayGoOn: Bool { get }
    /// Whether silence proves nothing, because this side does not read.
    var isHeldBack: Bool { get }
    /// Nothing more is wanted until `resumeReading`.
    var paused: Bool { get }
    func charge(_ packages: Int)
    /// Does with a message what inflates it, in a turn that has room; no other package is decoded before.
    func inflate(_ message: Bytes, _ work: @escaping @Loop (Bytes) -> Void)
    func pauseReading()
    func resumeReading()

    // MARK: sending
    /// Whether a package of so many bytes can be sent at all; it counts those that cannot.
    func takes(_ count: Int) -> Bool
    /// Sends one package, compressed where that is agreed; false when the connection has ended, or ends of it.
    func send(message: Bytes, compressed: Bool) -> Bool
    /// What its messages are compressed by; nil for none.
    var agreed: AgreedCompression? { get }
    /// A package as it travels to all whose `carrier` and `agreed` are the same.
    func framed(_ package: Bytes) -> Bytes
    /// Sends a push, as `carrier` has it; false when it is left out.
    func send(push: Bytes, route: String) -> Bool

    // MARK: time and the end
    func expect(within delay: UInt64)
    /// Closes the connection when nothing is read or written for too long.
    func expectTraffic()
    /// The deadline of `expectTraffic` has passed.
    func idle()
    /// Its client is known.
    func noLongerPending()
    /// Ends the connection because the client did wrong.
    func fail(_ fault: ConnectionFault, closeCode: UInt16)
    /// Ends the connection: what is queued leaves first.
    func finish(_ end: SessionEnd)
}

extension PackageConnection {
    func fail(_ fault: ConnectionFault) { fail(fault, closeCode: 1000) }
    func send(message: Bytes) -> Bool { send(message: message, compressed: true) }
}

/// A port as its connections see it.
@Loop protocol PackagePort: AnyObject {
    var host: any ConnectorHost { get }
    var clock: any LoopClock { get }
    var statistics: ConnectorStatistics { get set }
    var unsendable: LimitedLog { get }
    var compression: PortCompression { get }
}

extension ClientPort: PackagePort {}

extension StreamConnection: PackageConnection {
    var connectorType: String { HybridProtocol.type }
    var carrier: PackageCarrier { kind == .webSocket ? .webSocket : .stream }
    var queuedBytes: Int { stream.queuedBytes }
    var peerHasHungUp: Bool { stream.peerHasHungUp }

    func takes(_ count: Int) -> Bool { true }
    var agreed: AgreedCompression? { compression }
    func framed(_ package: Bytes) -> Bytes { kind == .webSocket ? frame(.binary, package) : package }
    func send(message: Bytes, compressed: Bool) -> Bool { send(message: message, .binary, compressed: compressed) }
    func noLongerPending() { port.noLongerPending(self) }
    func fail(_ fault: ConnectionFault, closeCode: UInt16) { fail(fault, closeCode: closeCode, "") }
    func finish(_ end: SessionEnd) { finish(end, fault: nil) }
}
