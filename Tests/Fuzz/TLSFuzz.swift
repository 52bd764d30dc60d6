// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloLibc/*.swift Sources/PomeloLoop/*.swift Sources/PomeloTLS/*.swift
// swiftc: -DTLS -I Sources/CLibuv -I Sources/COpenSSL -I Tests/Fuzz/CPomelo -luv -lssl -lcrypto
// c: Sources/CPomelo/CPomelo.c Sources/CPomelo/Backtrace.c

/// A server's certificate and its key, made anew for each run.
private let files: TLSServerOptions = {
    let folder = ".build/fuzz/tls.files"
    let names = "-addext subjectAltName=DNS:localhost -subj /CN=fuzz"
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout \(folder)/key.pem"
    let line = "mkdir -p \(folder) && openssl req -x509 \(names) \(key) -out \(folder)/own.pem 2>/dev/null"
    precondition(system(line) == 0, "no certificate")
    return TLSServerOptions(certificateFile: "\(folder)/own.pem", keyFile: "\(folder)/key.pem")
}()

/// The stream below: what its owner writes is kept, and what is fed comes at once, unless it is not read.
@Loop private final class FuzzStream: ByteStream {
    var delegate: (any ByteStreamDelegate)?
    let remoteAddress = SocketAddress(host: "192.0.2.1", port: 1)
    let localAddress = SocketAddress(host: "192.0.2.2", port: 2)
    private(set) var isReading = true
    private(set) var isClosed = false
    var written: [UInt8] = []
    var total = 0
    var stuck = false
    var queuedBytes: Int { stuck ? written.count : 0 }

    func write(_ bytes: [UInt8]) {
        if isClosed { return }
        written += bytes
        total += bytes.count
    }
    func pauseReading() { isReading = false }
    func resumeReading() { isReading = true }
    func closeAfterFlush(within deadline: Duration) { isClosed = true }
    func close() { isClosed = true }

    func end() {
        guard let last = delegate else { return }
        isClosed = true
        delegate = nil
        last.stream(self, didEnd: .closed)
    }
}

/// The user of the stream: does what it is told inside a call, and holds the stream to its promises.
@Loop private final class FuzzUser: ByteStreamDelegate {
    unowned let stream: TLSStream
    var received: [UInt8] = []
    var (paused, closed, inside) = (false, false, false)
    var ends = 0
    var wish: UInt8?
    /// Bytes and calls of writing.
    var written = (bytes: 0, calls: 0)

    init(_ stream: TLSStream) { self.stream = stream }

    func act(_ wish: UInt8) {
        let before = inside
        inside = true
        switch wish % 8 {
        case 0:
            paused = true
            stream.pauseReading()
        case 1:
            paused = false
            stream.resumeReading()
        case 2: write(100)
        case 3: write(20_000)
        case 4: stream.flushEarly()
        case 5:
            closed = true
            stream.closeAfterFlush(within: .seconds(1))
        case 6:
            closed = true
            stream.close()
        default:
            stream.pauseReading()
            stream.resumeReading()
            paused = false
        }
        inside = before
    }

    private func write(_ count: Int) {
        stream.write([UInt8](repeating: 7, count: count))
        written = (written.bytes + count, written.calls + 1)
    }

    private func check() {
        precondition(!inside, "called inside a call into the stream")
        precondition(ends == 0, "called after the end")
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        check()
        precondition(!paused && !closed && bytes.count > 0, "bytes for who has paused or closed, or none")
        for index in bytes.indices { received.append(bytes[index]) }
        if let wish { act(wish) }
        wish = nil
    }

    func streamDidDrain(_ stream: any ByteStream) {
        check()
        if let wish, wish & 8 != 0 { act(wish) }
    }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        check()
        precondition(stream.delegate == nil, "it holds its delegate after the end")
        ends += 1
    }
}

/// One side under test, and a peer that is one of ours or what the input says.
@Loop private final class Game {
    let lower = FuzzStream()
    let stream: TLSStream
    let user: FuzzUser
    let peer: TLSEngine?
    private var pipe: [UInt8] = []
    private var said = 0
    private var isHonest = true

    private static let sides = Result {
        var options = TLSClientOptions()
        options.authorityFile = files.certificateFile
        return (
            try TLSServer(files, clock: SystemClock.shared), try TLSClient(options), try TLSContext(server: files)
        )
    }

    init(_ kind: UInt8) throws {
        let (server, client, context) = try Self.sides.get()
        if kind & 1 == 0 {
            stream = try server.accept(lower)
            peer = try client.engine(to: "localhost")
        } else {
            stream = try client.connect(lower, to: "localhost")
            peer = try TLSEngine(context, .server)
        }
        user = FuzzUser(stream)
        stream.delegate = user
    }

    /// Hands on so many bytes of what lies in the pipe, as one reading.
    private func feed(_ count: Int) {
        let piece = Array(pipe.prefix(min(count, 65_536)))
        guard lower.isReading, !lower.isClosed, !piece.isEmpty, let delegate = lower.delegate else { return }
        pipe.removeFirst(piece.count)
        delegate.stream(lower, didRead: piece.span)
    }

    /// The peer reads what it was sent, and says what it has to.
    private func hear(_ text: [UInt8] = [], ends: Bool = false) {
        guard let peer else { return }
        do throws(TLSError) {
            let bytes = lower.written
            lower.written = []
            _ = try peer.take(bytes.span) { _ in true }
            try peer.seal(text)
            if peer.isOpen { said += text.count }
            if ends { peer.end() }
        } catch { isHonest = false }
        pipe += peer.takeOutput()
    }

    func step(_ what: UInt8, _ amount: UInt8, _ rest: ArraySlice<UInt8>) {
        switch what % 16 {
        case 0: feed(Int(amount) + 1)
        case 1, 2: feed(.max)
        case 3, 4: hear()
        case 5: hear([UInt8](repeating: 9, count: Int(amount) * 100))
        case 6: hear([9], ends: amount > 128)
        case 7, 8: user.act(amount)
        case 9: user.wish = amount
        case 10:
            guard !pipe.isEmpty else { return }
            pipe[Int(amount) % pipe.count] ^= 1 << (what / 32)
            isHonest = false
        case 11:
            pipe += rest.prefix(Int(amount))
            isHonest = false
        case 12, 13: EventLoop.shared.runTurn()
        case 14: lower.stuck.toggle()
        default: if !lower.stuck, !lower.isClosed { stream.streamDidDrain(lower) }
        }
        check()
    }

    private func check() {
        precondition(user.received.allSatisfy { $0 == 9 } && user.received.count <= said, "text nobody has said")
        let around = user.written.bytes / TLSEngine.recordBytes + user.written.calls * 3
        precondition(lower.total <= 60_000 + user.written.bytes + around * 64, "more is sent than was to be")
        precondition(stream.queuedBytes <= user.written.bytes + lower.queuedBytes, "more waits than was written")
    }

    /// Whoever is honest and was not hindered is heard to the end; then nothing is left.
    func finish() {
        user.wish = nil
        if isHonest, !user.closed {
            if user.paused { user.act(1) }
            lower.stuck = false
            for _ in 0..<40 where user.ends == 0 && !lower.isClosed {
                hear()
                feed(.max)
                EventLoop.shared.runTurn()
            }
            if !lower.isClosed, !user.closed { precondition(user.received.count == said, "text was lost") }
        }
        lower.end()
        EventLoop.shared.runUntilIdle()
        precondition(user.ends == 1, "it has not ended once")
    }
}

/// The first byte says which side is held to its promises, and then two bytes are a step.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTLS(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    guard let first = bytes.first else { return 0 }
    EventLoop.choose(.manual(.fifo))
    EventLoop.shared.runTurn()
    Loop.assumeIsolated {
        weak var (stream, user): (TLSStream?, FuzzUser?)
        do {
            let game = try Game(first)
            (stream, user) = (game.stream, game.user)
            for index in stride(from: 1, to: bytes.count - 1, by: 2) {
                game.step(bytes[index], bytes[index + 1], bytes[(index + 2)...])
            }
            game.finish()
        } catch { preconditionFailure("\(error)") }
        EventLoop.shared.runUntilIdle()
        precondition(stream == nil && user == nil, "something holds it after its end")
    }
    return 0
}

/// As much of the package's as is used, which is not compiled here.
struct Deque<Element>: ExpressibleByArrayLiteral {
    private var elements: [Element] = []

    init(arrayLiteral elements: Element...) { self.elements = elements }
    var isEmpty: Bool { elements.isEmpty }
    var count: Int { elements.count }
    var first: Element? { elements.first }
    mutating func append(_ element: Element) { elements.append(element) }
    @discardableResult mutating func removeFirst() -> Element { elements.removeFirst() }
    mutating func popFirst() -> Element? { elements.isEmpty ? nil : elements.removeFirst() }
}
