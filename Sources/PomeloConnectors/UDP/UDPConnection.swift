// SPDX-License-Identifier: MIT
import DequeModule
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One client of datagrams: its share of each turn, what waits for that, and its end.
@Loop final class UDPConnection: PackageConnection, TimedConnection, TurnSharer, Flushable {
    nonisolated static let type = "udp"
    /// So many bytes count as one package, for some packages are long.
    private static let bytesPerPackage = StreamConnection.bytesPerPackage
    /// A client that has said nothing for so long may have begun anew: the network brings nothing that late.
    private static let quiet: UInt64 = 5_000_000_000

    let port: UDPPort
    let remoteAddress: SocketAddress
    private var user: HybridClient<UDPConnection>?
    private(set) var finished = false
    private(set) var arrival: UInt64 = 0
    var lastActivity: UInt64

    /// What came and was not decoded: the rest of a datagram, and those behind it.
    private var backlog: Deque<(bytes: Bytes, arrival: UInt64)> = []
    private var postponed: Postponed?
    private var held = 0
    private(set) var paused = false
    private var goesOn = false
    var share: Int32 = 0
    var shareTurn: UInt32 = 0

    var timer: TimerID?
    var firesAt: UInt64 = 0
    var deadline: UInt64 = 0

    /// Packages that leave together at the end of the turn.
    private var joined: Bytes = []
    private var dirty = false

    init(_ port: UDPPort, _ address: SocketAddress) {
        self.port = port
        remoteAddress = address
        lastActivity = port.clock.now
    }

    var clock: any LoopClock { port.clock }
    var shares: TurnShares { port.shares }
    var limits: SharedLimits { port.shared.limits }
    var connectorType: String { Self.type }
    var carrier: PackageCarrier { .datagrams }
    var queuedBytes: Int { joined.count }
    var peerHasHungUp: Bool { false }
    /// Its handshake came before it.
    func noLongerPending() {}

    /// Shows the client to the core; false when it is not wanted.
    ///
    /// What it says next is its acknowledgement.
    func serve() -> Bool {
        user = HybridClient(port.shared, self)
        user?.expectAck()
        return user != nil
    }

    /// Whether a handshake may be that of a client that began anew.
    var isQuiet: Bool { clock.now &- lastActivity >= Self.quiet }

    // MARK: in

    var isHeldBack: Bool { paused || postponed != nil || !backlog.isEmpty }
    var mayGoOn: Bool { !finished && !paused && postponed == nil && port.shares.allows(more: Int(share)) }

    func inflate(_ message: Bytes, _ work: @escaping @Loop (Bytes) -> Void) {
        if port.shares.haveRoom { return work(message) }
        postponed = Postponed(size: message.capacity, arrival: arrival) { work(message) }
        hold(message.capacity)
        goOnSoon()
    }

    /// Whole packages have come.
    func receive(_ bytes: borrowing Span<UInt8>) {
        arrival = clock.now
        lastActivity = arrival
        renewShare()
        let taken = isHeldBack ? 0 : decode(bytes.extracting(...))
        if taken < bytes.count, !finished { keep(bytes.extracting(taken..<bytes.count)) }
    }

    /// Returns how far it came: to the end, unless the share is used up or nothing more is wanted.
    private func decode(_ bytes: Span<UInt8>) -> Int {
        guard mayGoOn, let user else { return 0 }
        let taken = user.read(packages: bytes)
        charge(taken / Self.bytesPerPackage)
        return taken
    }

    private func keep(_ rest: Span<UInt8>) {
        let size = rest.count + DatagramOptions.overhead
        guard held + size <= port.options.maxBacklogBytes,
            port.counts.heldBytes + size <= port.options.maxHeldBytes
        else { return port.counts.overflowed += 1 }
        backlog.append((rest.copied(), arrival))
        hold(size)
        goOnSoon()
    }

    private func hold(_ change: Int) {
        held += change
        port.counts.heldBytes += change
    }

    private func goOnSoon() {
        if goesOn || paused { return }
        goesOn = true
        port.shares.wait(self)
    }

    func goOn() {
        goesOn = false
        if paused || finished { return }
        renewShare()
        if let first = postponed {
            postponed = nil
            hold(-first.size)
            arrival = first.arrival
            first.work()
        }
        while mayGoOn, let next = backlog.popFirst() {
            hold(-next.bytes.count - DatagramOptions.overhead)
            arrival = next.arrival
            let taken = decode(next.bytes.span)
            guard taken < next.bytes.count, !finished else { continue }
            let rest = next.bytes.span.extracting(taken..<next.bytes.count).copied()
            hold(rest.count + DatagramOptions.overhead)
            backlog.prepend((rest, next.arrival))
        }
        if !finished, isHeldBack { goOnSoon() }
    }

    func pauseReading() { paused = true }

    func resumeReading() {
        guard paused else { return }
        paused = false
        // Not now: the core is in the middle of ending a request.
        if isHeldBack { goOnSoon() }
    }

    // MARK: out

    func takes(_ count: Int) -> Bool { port.takes(count, remoteAddress) }

    var agreed: AgreedCompression? { nil }
    func framed(_ package: Bytes) -> Bytes { package }

    func send(message: Bytes, compressed: Bool) -> Bool {
        _ = put(message)
        return !finished
    }

    func send(push: Bytes, route: String) -> Bool { put(push) }

    private func put(_ package: Bytes) -> Bool {
        guard !finished, takes(package.count) else { return false }
        guard port.options.joinsPackages else { return port.send(package, to: remoteAddress) }
        if joined.count + package.count > port.options.maxDatagramBytes { flushJoined() }
        joined.append(contentsOf: package)
        if !dirty {
            dirty = true
            EventLoop.shared.flushList.append(self)
        }
        return true
    }

    func flushTurn() {
        dirty = false
        flushJoined()
    }

    private func flushJoined() {
        guard !joined.isEmpty else { return }
        _ = port.send(joined, to: remoteAddress)
        joined = []
    }

    // MARK: time and the end

    func overdue() { user?.overdue() }

    func expectTraffic() { expect(within: limits.idleTimeout) }

    func idle() {
        let quiet = clock.now &- lastActivity
        if isHeldBack || quiet < limits.idleTimeout {
            expect(within: isHeldBack ? limits.idleTimeout : limits.idleTimeout - quiet)
        } else {
            fail(.idleTimeout)
        }
    }

    /// What one datagram says wrong ends nobody: anybody may have sent it, and the next one is read without it.
    func fail(_ fault: ConnectionFault, closeCode: UInt16) {
        port.noteFault(fault, remoteAddress)
        switch fault {
        case .badPackage, .badMessage, .tooLarge, .overRate: break
        default: finish(.disconnected(fault.rawValue))
        }
    }

    /// Ends it, and tells the client, which has no other way to know.
    func finish(_ end: SessionEnd) {
        guard !finished else { return }
        if case .kicked = end {} else { tell(end.description) }
        self.end(end)
    }

    private func tell(_ reason: String) {
        do throws(WireError) {
            _ = put(try Packet.kick(reason: reason))
        } catch {
            port.unsendable.write(["pomelo.message": "kick", "error": "\(error)"])
        }
    }

    /// Ends it without a word to the client.
    func end(_ end: SessionEnd) {
        guard !finished else { return }
        flushJoined()
        finished = true
        user?.ending()
        hold(-held)
        backlog = []
        postponed = nil
        cancelTimer()
        port.remove(self)
        user?.ended(end)
        user = nil
    }
}
