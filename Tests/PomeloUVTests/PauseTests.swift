// SPDX-License-Identifier: MIT
import Glibc
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

/// What is due when the loop goes on was often met while it stood still: the proof lies in a socket.
@Suite struct PauseTests {
    @Test @Loop func whatCameWhileTheLoopStoodStillIsReadBeforeTimersFire() async throws {
        for _ in 0..<10 {
            let order = Journal<String>()
            let line = try await Line.open { line in
                guard line.side.bytes.count == 1 else { return order.note("read") }
                _ = SystemClock.shared.schedule(after: .milliseconds(5)) { order.note("deadline") }
                line.standStill()
            }
            await until("both happened") { order.entries.count == 2 }
            #expect(order.entries == ["read", "deadline"])
            await line.close()
        }
    }

    /// A reply resumes a task; the task, not the socket's callback, then cancels the deadline.
    @Test @Loop func theTaskOfWhatWasReadRunsBeforeTimersFire() async throws {
        for _ in 0..<10 {
            let outcome = Journal<String>()
            let reply = Journal<CheckedContinuation<Void, Never>>()
            let line = try await Line.open { line in
                guard line.side.bytes.count == 1 else { return reply.entries[0].resume() }
                Loop.spawn {
                    let body: @Loop @Sendable () async throws -> Bool = {
                        await withCheckedContinuation { reply.note($0) }
                        return true
                    }
                    let answered = try? await SystemClock.shared.within(.milliseconds(5), body)
                    outcome.note(answered == true ? "in time" : "late")
                }
                Loop.spawn {
                    await Loop.yield(); line.standStill()
                }
            }
            await until("it ended") { !outcome.entries.isEmpty }
            #expect(outcome.entries == ["in time"])
            await line.close()
        }
    }
}

/// A connection whose peer sends one byte, and a second one while the loop stands still.
@Loop private final class Line {
    let side = Recorder()
    private let peer: RawSocket
    private let listener: any StreamListener

    private init(_ listener: any StreamListener, _ peer: RawSocket) {
        self.listener = listener
        self.peer = peer
    }

    static func open(_ onRead: @escaping @Loop (Line) -> Void) async throws -> Line {
        let accepted = Journal<any ByteStream>()
        let listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
            accepted.note($0)
        }
        let line = Line(listener, try RawSocket.connected(to: listener.localAddress.port))
        await until("accepted") { !accepted.entries.isEmpty }
        line.side.onRead = { [unowned line] _, _ in onRead(line) }
        accepted.entries[0].delegate = line.side
        line.peer.send([1])
        return line
    }

    func standStill() {
        peer.send([2])
        usleep(20_000)
    }

    func close() async {
        listener.close()
        peer.close()
        await until("it has ended") { !side.ends.isEmpty }
    }
}
