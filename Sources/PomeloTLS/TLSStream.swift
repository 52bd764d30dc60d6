// SPDX-License-Identifier: MIT
public import PomeloLoop

/// What is said over another stream, encrypted: between that one and its user, who sees plain bytes.
///
/// What is written before the handshake is done waits for it, and counts as queued.
///
/// - Guarantee: what the user reads comes from a peer that has the keys, whole and in order; a stream that is changed
///   on the way ends with `.failed`, and so does one whose peer is not believed.
@Loop public final class TLSStream: ByteStream, Flushable {
    /// How long the last bytes of a stream that failed, or that the peer has ended, may take.
    private static let lastBytes = Duration.seconds(1)
    /// What the peer may have us answer by itself, new keys and warnings, while it reads nothing, in bytes.
    private static let maxAnswers = 16_384

    private let lower: any ByteStream
    private let engine: TLSEngine
    private let shares: HandshakeShares?
    private var plain: [[UInt8]] = []
    private var plainBytes = 0
    /// What was read and waits: for its user, or for its turn to shake hands; one read of the stream below at most.
    private var held: [UInt8] = []
    private var (paused, waits, dirty, goesOn) = (false, false, false, false)
    /// Bytes of such answers since the stream below was empty.
    private var answers = 0
    /// Whether the peer has proved that it has the keys.
    public private(set) var isOpen = false
    private var (isEnding, hasEnded) = (false, false)
    private var end: StreamEnd?
    /// Told once, when the peer has proved that it has the keys.
    var onOpen: (@Loop () -> Void)?

    /// Held strongly until the end; setting it begins to read, and what comes while there is none waits.
    public var delegate: (any ByteStreamDelegate)? {
        didSet {
            if hasEnded { return delegate = nil }
            guard delegate != nil else { return pauseReading() }
            if lower.delegate == nil { lower.delegate = self }
            paused = true
            resumeReading()
        }
    }

    init(_ lower: any ByteStream, _ engine: TLSEngine, _ shares: HandshakeShares? = nil) {
        self.lower = lower
        self.engine = engine
        self.shares = shares
    }

    /// The peer's end, of the stream below.
    public var remoteAddress: SocketAddress { lower.remoteAddress }
    /// This side's end, of the stream below.
    public var localAddress: SocketAddress { lower.localAddress }
    /// Bytes that are not encrypted yet, and those that the stream below has.
    public var queuedBytes: Int { plainBytes + lower.queuedBytes }
    /// As the stream below knows.
    public var peerHasHungUp: Bool { lower.peerHasHungUp }
    /// The version that is spoken, as `TLSv1.3`; `unknown` tells nothing before the handshake is done.
    public var version: String { engine.version }
    /// Whether the handshake was shortened, by a ticket of an earlier one.
    public var isResumed: Bool { engine.isResumed }

    // MARK: out

    /// Queues bytes until the end of the turn: what one turn writes shares records.
    public func write(_ bytes: [UInt8]) {
        guard !isEnding, !bytes.isEmpty else { return }
        plain.append(bytes)
        plainBytes += bytes.count
        guard engine.isOpen, !dirty else { return }
        dirty = true
        EventLoop.shared.flushList.append(self)
    }

    /// Encrypts what the turn has written.
    public func flushTurn() {
        dirty = false
        seal()
    }

    /// Encrypts what there is, and offers it to the kernel.
    public func flushEarly() {
        seal()
        lower.flushEarly()
    }

    private func seal() {
        guard engine.isOpen, !plain.isEmpty else { return }
        sendAnswers()
        let pieces = plain
        plain = []
        plainBytes = 0
        do throws(TLSError) {
            // Several short ones are one record; what is as long as one need not be copied.
            var record: [UInt8] = []
            for piece in pieces {
                if !record.isEmpty, record.count + piece.count > TLSEngine.recordBytes {
                    try engine.seal(record)
                    record = []
                }
                if record.isEmpty { record = piece } else { record += piece }
            }
            try engine.seal(record)
        } catch {
            return fail(error)
        }
        send()
    }

    private func send() {
        let sealed = engine.takeOutput()
        if !sealed.isEmpty { lower.write(sealed) }
    }

    /// What the engine says by itself.
    private func sendAnswers() {
        let words = engine.takeOutput()
        guard !words.isEmpty else { return }
        if isOpen { answers += words.count }
        lower.write(words)
    }

    // MARK: in

    /// Delivers nothing more; a handshake goes on, for what is written waits for it.
    public func pauseReading() {
        paused = true
        if engine.isOpen { lower.pauseReading() }
    }

    /// Reads on; what was held comes first.
    public func resumeReading() {
        guard paused, !isEnding else { return }
        paused = false
        if held.isEmpty { return readOn() }
        // What waits for its turn to shake hands has it yet to come.
        guard !goesOn, !waits else { return }
        goesOn = true
        Loop.enqueueSynchronous {
            self.goesOn = false
            if self.wantsText { self.takeHeld() }
        }
    }

    private var wantsText: Bool { !paused && !isEnding && delegate != nil }

    private func readOn() {
        if !waits, !isEnding, held.isEmpty, wantsText || !engine.isOpen { lower.resumeReading() }
    }

    /// Its turn to shake hands has come; returns what that has cost.
    func goOn() -> HandshakeShares.Cost {
        waits = false
        guard !isEnding else { return .nothing }
        let before = engine.step
        takeHeld()
        return engine.step == before ? .little : .much
    }

    private func takeHeld() {
        let bytes = held
        held = []
        take(bytes.span)
        readOn()
    }

    private func take(_ bytes: borrowing Span<UInt8>) {
        do throws(TLSError) {
            var place = 0
            if !engine.isOpen {
                place = try engine.shakeHands(by: bytes)
                send()
                noteOpen()
            }
            if engine.isOpen, wantsText {
                place += try engine.take(bytes.extracting(place..<bytes.count)) { text in
                    delegate?.stream(self, didRead: text)
                    return wantsText
                }
                sendAnswers()
            }
            guard !isEnding else { return }
            if place < bytes.count { hold(bytes.extracting(place..<bytes.count)) }
            if engine.peerHasEnded { return peerEnded() }
            if answers > Self.maxAnswers { throw TLSError("the peer reads no answers") }
            if engine.isOpen, !wantsText { lower.pauseReading() }
        } catch {
            fail(error)
        }
    }

    private func hold(_ bytes: borrowing Span<UInt8>) {
        for index in bytes.indices { held.append(bytes[index]) }
        lower.pauseReading()
    }

    /// What was written in the meantime leaves behind the handshake.
    private func noteOpen() {
        guard engine.isOpen, !isOpen else { return }
        isOpen = true
        seal()
        let told = onOpen
        onOpen = nil
        told?()
    }

    // MARK: the end

    private func fail(_ error: TLSError) {
        // An alert, which tells the peer what we did not like.
        send()
        let isFirst = !isEnding
        finish(.failed("TLS: \(error)"))
        if isFirst { shares?.onFailure?(self, error) }
    }

    private func peerEnded() {
        // Behind our own end nothing could be said any more, and the peer may yet read.
        seal()
        engine.end()
        send()
        finish(.peerClosed)
    }

    private func finish(_ reason: StreamEnd) {
        guard !isEnding else { return }
        end = reason
        stopReading()
        lower.closeAfterFlush(within: Self.lastBytes)
    }

    /// Writes what is queued, then says that nothing more comes; before the handshake is done there is nobody to say
    /// it to.
    public func closeAfterFlush(within deadline: Duration) {
        guard !isEnding else { return }
        seal()
        // Its record may have been refused, which is an end, too.
        guard !isEnding else { return }
        engine.end()
        send()
        stopReading()
        lower.closeAfterFlush(within: deadline)
    }

    /// Whatever is not on its way yet has nobody to say it to; the stream below may take a while to end.
    private func stopReading() {
        isEnding = true
        onOpen = nil
        engine.letGo()
        (plain, plainBytes, held) = ([], 0, [])
    }

    /// Closes at once.
    public func close() {
        stopReading()
        lower.close()
    }
}

extension TLSStream: ByteStreamDelegate {
    /// What the stream below has read.
    public func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        guard !isEnding else { return }
        if engine.isOpen, wantsText, held.isEmpty { return take(bytes) }
        guard !engine.isOpen else { return hold(bytes) }
        guard let shares else { return take(bytes) }
        guard !waits, shares.take() else {
            hold(bytes)
            if !waits { shares.wait(self) }
            waits = true
            return
        }
        let before = engine.step
        take(bytes)
        if engine.step != before { shares.noteWork() }
    }

    /// The stream below has handed everything to the kernel.
    public func streamDidDrain(_ stream: any ByteStream) {
        answers = 0
        if engine.isOpen, plain.isEmpty { delegate?.streamDidDrain(self) }
    }

    /// The stream below has ended.
    public func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        stopReading()
        hasEnded = true
        let last = delegate
        delegate = nil
        last?.stream(self, didEnd: end ?? reason)
    }
}
