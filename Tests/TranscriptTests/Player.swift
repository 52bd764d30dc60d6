// SPDX-License-Identifier: MIT
import Pomelo
import PomeloTesting

/// The client's end of a recorded conversation: writes bytes, and keeps what comes as it came.
@Loop final class Player: ByteStreamDelegate {
    /// How long anything that must come may take.
    private static let patience = Duration.seconds(10)

    /// Why a conversation cannot go on.
    struct Stuck: Error, CustomStringConvertible { let description: String }

    let transport: TestClient.Transport
    /// The messages over WebSocket; over TCP one element, the stream so far.
    private(set) var received: [Bytes]
    /// The code of the server's close frame.
    private(set) var closeCode: UInt16?
    /// Set once the connection has ended.
    private(set) var end: StreamEnd?
    /// What no recording has: text messages, pings, bytes that are no frame.
    private(set) var oddities: [String] = []

    private let stream: any ByteStream
    private var upgraded: Bool
    private var head: Bytes = []
    private var frames = WebSocketDecoder(maxMessageBytes: 1 << 24, expectsMask: false)
    private var drained = true
    private var waiter: CheckedContinuation<Void, Never>?

    /// Connects, and over WebSocket also upgrades.
    static func connect(
        to address: SocketAddress, over network: any Network, as transport: TestClient.Transport
    ) async throws -> Player {
        let player = Player(try await network.connect(to: address, within: patience), transport)
        if transport == .webSocket {
            player.write(UpgradeRequest.clientHead(host: "recorded", key: "dGhlIHNhbXBsZSBub25jZQ=="))
            try await player.wait(for: "the upgrade") { player.upgraded }
        }
        return player
    }

    private init(_ stream: any ByteStream, _ transport: TestClient.Transport) {
        self.stream = stream
        self.transport = transport
        upgraded = transport == .tcp
        received = transport == .tcp ? [[]] : []
        stream.delegate = self
    }

    /// Writes one recorded chunk, over WebSocket as one masked binary frame; returns when the kernel has it.
    func send(_ bytes: Bytes) async throws {
        write(transport == .tcp ? bytes : WebSocketFrame.encode(.binary, bytes, maskKey: 0x5AC3_0F96))
        try await wait(for: "the kernel to take a write") { self.drained || self.end != nil }
    }

    private func write(_ bytes: Bytes) {
        guard end == nil else { return }
        drained = false
        stream.write(bytes)
    }

    /// Recorded answers in the form of `received`.
    func shaped(_ answers: [Bytes]) -> [Bytes] {
        transport == .tcp ? [Bytes(answers.joined())] : answers
    }

    /// Waits until as much has come as these answers are, or nothing can come any more.
    func wait(for answers: [Bytes]) async throws {
        let wanted = shaped(answers)
        try await wait(for: "answer \(answers.count)") {
            self.end != nil || self.received.count > wanted.count
                || self.received.count == wanted.count
                    && (self.received.last?.count ?? 0) >= (wanted.last?.count ?? 0)
        }
    }

    /// Waits until the server has closed the connection.
    func closed() async throws { try await wait(for: "the end of the connection") { self.end != nil } }

    func close() { stream.close() }

    private func wait(for what: String, _ isDone: @Loop () -> Bool) async throws {
        let limit = SystemClock.shared.deadline(after: Self.patience)
        while !isDone() {
            guard SystemClock.shared.now < limit else {
                throw Stuck(description: "nothing more came, waiting for \(what)")
            }
            if let end, what == "the upgrade" { throw Stuck(description: "not upgraded: \(end)") }
            let timer = SystemClock.shared.schedule(at: limit) { self.wake() }
            // REENTRANCY: a task without executor preference may be suspended before the body runs.
            await withCheckedContinuation { one in
                if isDone() || SystemClock.shared.now >= limit { one.resume() } else { waiter = one }
            }
            SystemClock.shared.cancel(timer)
        }
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }

    // MARK: stream

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        var copy = Bytes()
        copy.reserveCapacity(bytes.count)
        for index in 0..<bytes.count { copy.append(bytes[index]) }
        if transport == .tcp {
            received[0] += copy
        } else if upgraded {
            read(copy)
        } else {
            readHead(copy)
        }
        wake()
    }

    func streamDidDrain(_ stream: any ByteStream) {
        drained = true
        wake()
    }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        end = reason
        wake()
    }

    private func readHead(_ bytes: Bytes) {
        head += bytes
        let text = String(decoding: head, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 101"), let end = text.firstRange(of: "\r\n\r\n") else { return }
        upgraded = true
        read(Bytes(text[end.upperBound...].utf8))
    }

    private func read(_ bytes: Bytes) {
        do {
            try frames.decode(bytes.span) { event, _ in
                switch event {
                case .message(text: false, let message): received.append(message)
                case .close(let code, _): closeCode = code
                default: oddities.append("\(event)")
                }
                return true
            }
        } catch {
            oddities.append("\(error)")
        }
    }
}
