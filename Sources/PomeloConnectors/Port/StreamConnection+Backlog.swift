// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop

/// What was read of a client and waits to be decoded.
///
/// Its bound needs no count: nothing more is read while something waits, so it is one WebSocket message and one read.
@Loop final class Backlog {
    /// A WebSocket message, decoded up to `messageStart`.
    var message: Bytes = []
    var messageStart = 0
    /// What was read behind it, decoded up to `start`.
    var bytes: Bytes = []
    var start = 0
    /// When it was read: deadlines count from then.
    let arrival: UInt64

    init(arrival: UInt64) { self.arrival = arrival }

    var isEmpty: Bool { messageStart == message.count && start == bytes.count }
    /// The memory taken, in bytes.
    var size: Int { message.capacity + bytes.capacity }
}

/// Gives each client its share of a turn, and no more than the core wants to have in flight.
///
/// What comes too fast stays as bytes: undecoded here, or unread in the socket, where TCP makes the sender wait.
extension StreamConnection: TurnSharer {
    /// So many bytes count as one package, for some packages are only fragments: 16 KiB are a turn's share.
    static let bytesPerPackage = 128
    /// Bytes are decoded in slices of this size, for a decoder tells of packages only.
    private static let slice = 16 * 1024

    var shares: TurnShares { port.shares }

    /// Whether silence proves nothing, because this side does not read.
    var isHeldBack: Bool { paused || throttled }

    /// Whether the next package may be decoded now.
    var mayGoOn: Bool { !finished && !paused && postponed == nil && port.shares.allows(more: Int(share)) }

    /// Inflates now, or as the first thing when it is this one's turn; nothing more is decoded before.
    func inflate(_ message: Bytes, _ work: @escaping @Loop (Bytes) -> Void) {
        if port.shares.haveRoom { return work(message) }
        postponed = Postponed(size: message.capacity, arrival: arrival) { work(message) }
    }

    // MARK: in

    func receive(_ bytes: borrowing Span<UInt8>) {
        renewShare()
        let taken = backlog == nil ? decode(bytes, from: 0) : 0
        if !finished, taken < bytes.count {
            let waiting = backlog ?? Backlog(arrival: arrival)
            waiting.bytes.put(bytes.extracting(taken..<bytes.count))
            backlog = waiting
        }
        settle()
    }

    func keep(_ message: Bytes, from start: Int) {
        guard !finished else { return }
        let waiting = backlog ?? Backlog(arrival: arrival)
        waiting.message = message
        waiting.messageStart = start
        backlog = waiting
    }

    /// Goes on with what waits, then with the stream.
    func goOn() {
        goesOn = false
        guard !finished, !paused else { return }
        renewShare()
        if let first = postponed {
            postponed = nil
            arrival = first.arrival
            first.work()
        }
        if let waiting = backlog {
            arrival = waiting.arrival
            decode(waiting)
            if !finished, waiting.isEmpty { backlog = nil }
        }
        settle()
    }

    private func decode(_ waiting: Backlog) {
        if waiting.messageStart < waiting.message.count {
            let (message, start) = (waiting.message, waiting.messageStart)
            waiting.message = []
            waiting.messageStart = 0
            receiveMessage(message, isText: false, from: start)
        }
        let bytes = waiting.bytes
        waiting.start = decode(bytes.span, from: waiting.start)
    }

    /// Returns how far it came: to the end, unless the share is used up or nothing more is wanted.
    private func decode(_ bytes: borrowing Span<UInt8>, from start: Int) -> Int {
        var place = start
        while mayGoOn, place < bytes.count {
            let taken = read(bytes.extracting(place..<min(bytes.count, place + Self.slice)))
            place += taken
            charge(taken / Self.bytesPerPackage)
        }
        return place
    }

    /// Reads on, or sees to it that this happens.
    private func settle() {
        noteHeld()
        guard !finished else { return }
        if paused { return }
        if backlog == nil, postponed == nil, port.shares.allows(more: Int(share)) {
            guard throttled else { return }
            throttled = false
            stream.resumeReading()
        } else {
            if !throttled {
                throttled = true
                stream.pauseReading()
            }
            goOnSoon()
        }
    }

    private func goOnSoon() {
        if goesOn { return }
        goesOn = true
        port.shares.wait(self)
    }

    // MARK: memory

    /// Tells the port how much this one holds; the end of this connection may come of it.
    private func noteHeld() {
        // Messages of a WebSocket may be decoded when none is read.
        let decoding = kind == .webSocket ? user?.heldBytes ?? 0 : 0
        let bytes = undecoded + decoding + (backlog?.size ?? 0) + (postponed?.size ?? 0)
        guard bytes != held, !finished else { return }
        let before = held
        held = bytes
        port.held(bytes - before)
    }

    /// Nothing is decoded any more.
    func letGo() {
        wire = .none
        backlog = nil
        postponed = nil
        undecoded = 0
        port.held(-held)
        held = 0
    }

    // MARK: what its user wants

    func pauseReading() {
        guard !paused else { return }
        paused = true
        stream.pauseReading()
    }

    func resumeReading() {
        guard paused else { return }
        paused = false
        if backlog == nil, postponed == nil, !throttled {
            stream.resumeReading()
        } else {
            // Not now: the core is in the middle of ending a request.
            throttled = true
            goOnSoon()
        }
    }
}
