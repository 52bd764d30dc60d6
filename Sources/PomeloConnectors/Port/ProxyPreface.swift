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

    var delegate: (any ByteStreamDelegate)? {
        didSet { stream.delegate = delegate == nil ? nil : self }
    }

    // MARK: in

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        guard var reading = decoder else { delegate?.stream(self, didRead: bytes) ?? (); return }
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
                if consumed < bytes.count { delegate?.stream(self, didRead: bytes.extracting(consumed..<bytes.count)) }
            case .other(let earlier):
                decoder = nil
                if isRequired { return fail() }
                owner?.prefaceEnded()
                if !earlier.isEmpty { delegate?.stream(self, didRead: earlier.span) }
                delegate?.stream(self, didRead: bytes)
            }
        } catch { fail() }
    }

    private func fail() {
        decoder = nil
        owner?.prefaceFailed()
    }

    func streamDidDrain(_ stream: any ByteStream) { delegate?.streamDidDrain(self) }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        let last = delegate
        delegate = nil
        last?.stream(self, didEnd: reason)
    }

    // MARK: out

    var localAddress: SocketAddress { stream.localAddress }
    var queuedBytes: Int { stream.queuedBytes }
    var peerHasHungUp: Bool { stream.peerHasHungUp }
    func write(_ bytes: [UInt8]) { stream.write(bytes) }
    func flushEarly() { stream.flushEarly() }
    func pauseReading() { stream.pauseReading() }
    func resumeReading() { stream.resumeReading() }
    func closeAfterFlush(within deadline: Duration) { stream.closeAfterFlush(within: deadline) }
    func close() { stream.close() }
}
