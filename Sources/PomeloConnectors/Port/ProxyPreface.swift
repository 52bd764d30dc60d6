// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloWire

/// Told what a proxy has said in front of a connection.
@Loop protocol ProxyPrefaceOwner: AnyObject {
    /// The client's address is known, if the proxy has named it; what follows is the client's.
    func prefaceEnded()
    /// It was none, or a broken one.
    func prefaceFailed()
}

/// A connection of a trusted proxy: takes its header away, and shows the client's address from then on.
///
/// It lies directly on the socket, below whatever else is between that and the client's words.
@Loop final class ProxyPreface: ByteStream, ByteStreamDelegate {
    private let stream: any ByteStream
    private let isRequired: Bool
    weak var owner: (any ProxyPrefaceOwner)?
    /// Nil once the header is there, or there is none.
    private var decoder: ProxyDecoder? = ProxyDecoder()
    private(set) var remoteAddress: SocketAddress

    init(_ stream: any ByteStream, isRequired: Bool) {
        self.stream = stream
        self.isRequired = isRequired
        remoteAddress = stream.remoteAddress
    }

    /// What was read behind the header and waits, for its user has paused or gone.
    private var held: Bytes = []
    private var (paused, isClosed, hasEnded) = (false, false, false)

    var delegate: (any ByteStreamDelegate)? {
        didSet {
            if hasEnded { delegate = nil }
            stream.delegate = delegate == nil ? nil : self
            if delegate != nil { resumeReading() }
        }
    }

    // MARK: in

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        guard var reading = decoder else { return deliver(bytes) }
        do throws(WireError) {
            let step = try reading.decode(bytes)
            decoder = reading
            switch step {
            case .needMore: return
            case .header(let header, let consumed):
                decoder = nil
                if let source = header.source {
                    remoteAddress = SocketAddress(host: source.text, port: Int(header.port))
                }
                owner?.prefaceEnded()
                deliver(bytes.extracting(consumed..<bytes.count))
            case .other(let earlier):
                decoder = nil
                if isRequired { return fail() }
                owner?.prefaceEnded()
                deliver(earlier.span)
                deliver(bytes)
            }
        } catch { fail() }
    }

    /// Whoever is told of the header may want to hear nothing for now, or to end it.
    private func deliver(_ bytes: borrowing Span<UInt8>) {
        guard bytes.count > 0, !isClosed else { return }
        guard held.isEmpty, !paused, let delegate else {
            held.put(bytes.extracting(0..<bytes.count))
            return stream.pauseReading()
        }
        delegate.stream(self, didRead: bytes)
    }

    private func fail() {
        decoder = nil
        owner?.prefaceFailed()
    }

    func streamDidDrain(_ stream: any ByteStream) { delegate?.streamDidDrain(self) }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        let last = delegate
        hasEnded = true
        held = []
        delegate = nil
        last?.stream(self, didEnd: reason)
    }

    // MARK: out

    var localAddress: SocketAddress { stream.localAddress }
    var queuedBytes: Int { stream.queuedBytes }
    var peerHasHungUp: Bool { stream.peerHasHungUp }
    func write(_ bytes: [UInt8]) { stream.write(bytes) }
    func flushEarly() { stream.flushEarly() }
    func pauseReading() {
        paused = true
        stream.pauseReading()
    }

    func resumeReading() {
        paused = false
        if held.isEmpty { return stream.resumeReading() }
        Loop.enqueueSynchronous {
            guard !self.paused, !self.isClosed, let delegate = self.delegate else { return }
            let bytes = self.held
            self.held = []
            if !bytes.isEmpty { delegate.stream(self, didRead: bytes.span) }
            if !self.paused { self.stream.resumeReading() }
        }
    }

    func closeAfterFlush(within deadline: Duration) {
        isClosed = true
        stream.closeAfterFlush(within: deadline)
    }

    func close() {
        isClosed = true
        stream.close()
    }
}
