// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire
import TestHelpers

@testable import PomeloConnectors

/// One client of socket.io over connections that stall and break, while the server pushes all the time; a seed decides
/// everything.
///
/// The client speaks as the real ones do: one poll at a time, one POST at a time, and an upgrade when it likes.
@Loop final class SocketIOSimulation {
    let wired: SocketIOWired
    private(set) var failures: [String] = []
    private(set) var trail: [String] = []
    private let random: RandomSource
    private let revision: SocketIORevision
    private var session: Session
    private var sent = 0
    private var got: [Int] = []
    private var asked: UInt32 = 0
    private var answered: [Int: Int] = [:]
    private var poll, post, socket: Line?
    private var isProbed = false
    private var isUpgraded = false
    private var owesPong = false
    private var isOver = false

    init(_ revision: SocketIORevision, seed: UInt64) throws {
        self.revision = revision
        random = RandomSource(seed: seed)
        wired = try SocketIOWired()
        session = Session(revision: revision, sid: "")
    }

    private func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }

    func run(steps: Int) async throws {
        session = try await wired.session(revision, on: wired.line())
        for _ in 0..<steps {
            try step()
            await Loop.yield()
        }
        // In the end the network is whole and the client at rest.
        for _ in 0..<100 where !isOver {
            for line in [poll, post, socket] { line.map(heal) }
            try hear()
            if !isUpgraded, poll == nil { beginPoll() }
            await Loop.yield()
        }
        judge()
        for line in wired.lines { line.cut() }
        wired.clock.advance(by: .seconds(200))
        await wired.settle()
    }

    private func judge() {
        let ended = wired.host.sessions.isEmpty
        if got != Array(1...max(1, sent)).prefix(got.count).map(\.self) || got.count > sent {
            failures.append("pushes came as \(got), \(sent) were sent")
        }
        if !ended, got.count < sent { failures.append("\(got.count) of \(sent) pushes came") }
        for (id, count) in answered where count > 1 { failures.append("request \(id) was answered \(count) times") }
        if !ended {
            for message in wired.host.messages where answered[Int(message.id)] == nil {
                failures.append("request \(message.id) was not answered")
            }
        }
        let ids = wired.host.messages.map(\.id)
        if Set(ids).count != ids.count { failures.append("a request was heard twice: \(ids)") }
    }

    // MARK: steps

    private func step() throws {
        let choice = random.next() % 14
        trail.append("\(choice)")
        switch choice {
        case 0...3: push()
        case 4: beginPoll()
        case 5: if let poll { stall(poll) }
        case 6: if let poll { heal(poll) }
        case 7 where chance(40): breakPoll()
        case 8: ask()
        case 9: if let post { chance(50) ? stall(post) : heal(post) }
        case 10 where chance(30):
            post?.cut()
            post = nil
        case 11 where chance(30): beginUpgrade()
        case 12 where chance(5):
            socket?.cut()
            if isUpgraded { isOver = true }
            socket = nil
            isProbed = false
        default: wired.clock.advance(by: .milliseconds(Int64(random.next() % 4000)))
        }
        try hear()
        // In version 3 it is the client that asks.
        if revision == .four, chance(5) { owesPong = true }
        if owesPong { pong() }
    }

    private func push() {
        guard let session = wired.host.session else { return }
        do {
            let message = try PushMessage(route: "onN", body: Bytes("{\"n\":\(sent + 1)}".utf8))
            if session.socket.push(message) { sent += 1 }
        } catch { failures.append("\(error)") }
    }

    private func beginPoll() {
        guard poll == nil, !isUpgraded, !isOver else { return }
        poll = wired.line()
        poll?.send("GET", session.path)
    }

    private func stall(_ line: Line) { line.stream.stuck = true }

    private func heal(_ line: Line) {
        line.stream.stuck = false
        line.stream.queuedBytes = 0
    }

    /// What the kernel has taken is not lost: connections break before, or while nothing is on its way.
    private func breakPoll() {
        guard let line = poll, line.stream.written.isEmpty || line.stream.queuedBytes > 0 else { return }
        poll = nil
        // The server may see it later than the next poll; then nothing must be on its way to a client that waits.
        if line.stream.queuedBytes > 0, chance(50) { return beginPoll() }
        line.cut()
    }

    private func ask() {
        guard post == nil, !isOver else { return }
        asked += 1
        do {
            let packet = try revision.packet(asked)
            say(packet)
        } catch { failures.append("\(error)") }
    }

    private func say(_ packet: String) {
        if isUpgraded { return socket?.say(packet) ?? () }
        post = wired.line()
        post?.send("POST", session.path, body: revision.payload(packet))
    }

    private func pong() {
        guard isUpgraded || post == nil, !isOver else { return }
        owesPong = false
        say(revision == .one ? "2::" : revision == .four ? "2" : "3")
    }

    private func beginUpgrade() {
        guard revision != .one, socket == nil, !isUpgraded, !isOver else { return }
        socket = wired.line()
        socket?.upgrade(session.path(.webSocket))
        socket?.say("2probe")
    }

    // MARK: what comes

    private func hear() throws {
        if let line = poll, line.stream.queuedBytes == 0 {
            for answer in try line.answers() {
                poll = nil
                if answer.status == 200 { take(answer.text) } else { isOver = true }
            }
            if line.stream.delegate == nil { poll = nil }
        }
        if let line = post, line.stream.queuedBytes == 0 {
            if let answer = try line.answers().first {
                post = nil
                if answer.status != 200 { isOver = !isUpgraded }
            } else if line.stream.delegate == nil {
                post = nil
            }
        }
        guard let line = socket else { return }
        for text in try line.frames() {
            if text == "3probe" { isProbed = true } else { take(text) }
        }
        if line.stream.delegate == nil {
            socket = nil
            isProbed = false
            if isUpgraded { isOver = true }
        } else if isProbed, !isUpgraded, poll == nil, post == nil {
            isUpgraded = true
            line.say("5")
        }
    }

    private func take(_ text: String) {
        let plain = text.filter { $0 != "\\" }
        for part in plain.components(after: "\"n\":") { got.append(part) }
        for part in plain.components(after: "\"id\":") { answered[part, default: 0] += 1 }
        let packets = text.split { $0 == "\u{1E}" || $0 == "\u{FFFD}" }
        if packets.contains("2") || packets.contains("2::") { owesPong = true }
        if packets.contains("1") || packets.contains("41") || packets.contains("0::") { isOver = true }
        if packets.contains("close") { isOver = true }
    }
}

extension String {
    /// The numbers that follow a text.
    fileprivate func components(after mark: String) -> [Int] {
        ranges(of: mark).compactMap { Int(self[$0.upperBound...].prefix { $0.isNumber }) }
    }
}
