// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers

/// People of a Chat cluster who talk all the time and count what they hear, while something is done to its Redis.
@Loop final class CountingRoom {
    /// What one fault did.
    struct Outcome: CustomStringConvertible {
        /// From the fault to the first newcomer who was told no; nil when nobody was.
        var noticed: Duration?
        /// The longest that a newcomer waited for an answer.
        var longestAnswer = Duration.zero
        /// From the return of Redis to the moment when everything is as it should be.
        var healed = Duration.zero
        var acknowledged = 0
        var wrong: [String] = []

        var description: String {
            "noticed \(noticed.map { "\($0)" } ?? "by nobody"), longest answer \(longestAnswer), healed \(healed), "
                + "\(acknowledged) acknowledged, \(wrong.count) wrong"
        }
    }

    private static let connectors = ["connector-server-1", "connector-server-2"]
    private static let room = "hall"
    private let world: RedisWorld
    private let crowd: Crowd
    private var acknowledged: [String] = []
    private var number = 0
    private var isOver = false
    /// Those who talk or come, and what kept one from it.
    private var running = 0
    private var failures: [String] = []
    private var attempts: [(connector: String, began: UInt64, ended: UInt64, cameIn: Bool)] = []

    private init(_ world: RedisWorld) {
        self.world = world
        crowd = Crowd(world.processes, room: Self.room)
    }

    /// Three people at each connector.
    static func open(_ world: RedisWorld) async throws -> CountingRoom {
        let room = CountingRoom(world)
        for (connector, name) in zip(connectors, ["ann", "bob"]) {
            for person in try await room.crowd.enter(3, name, at: connector) {
                person.client.patience = .seconds(10)
            }
        }
        try await eventually("all are published") { try await room.isPublished() }
        return room
    }

    /// Does it, undoes it, waits until all is well again, and counts.
    func live(through fault: RedisFault) async throws -> Outcome {
        var outcome = Outcome()
        (acknowledged, attempts, isOver) = ([], [], false)
        let heardBefore = crowd.people.map(\.client.pushes.count)
        spawn { try await self.talk() }
        let began = SystemClock.shared.now
        try await fault.begin(world)
        for connector in Self.connectors { spawn { try await self.visit(connector) } }
        await SystemClock.shared.sleep(for: .seconds(fault.seconds))
        try await fault.end(world)
        let back = SystemClock.shared.now
        try await eventually("all is well after \(fault)", within: .seconds(30)) {
            guard isOpen(since: back), try await isPublished(), try await world.hasLeftOthers() else { return false }
            return try await whispersArrive()
        }
        outcome.healed = .nanoseconds(Int64(SystemClock.shared.now - back))
        isOver = true
        try await eventually("they have stopped", within: .seconds(20)) { running == 0 }
        outcome.noticed = attempts.first { !$0.cameIn }.map { .nanoseconds(Int64($0.ended - began)) }
        outcome.longestAnswer = attempts.map { .nanoseconds(Int64($0.ended - $0.began)) }.max() ?? .zero
        try await count(since: heardBefore, &outcome)
        return outcome
    }

    private func spawn(_ body: @escaping @Loop @Sendable () async throws -> Void) {
        running += 1
        Loop.spawn {
            do { try await body() } catch { self.failures.append("\(error)") }
            self.running -= 1
        }
    }

    // MARK: what they do

    /// One after the other says something to all; what is acknowledged is noted.
    private func talk() async throws {
        while !isOver {
            for person in crowd.present() { try await say(person) }
            await SystemClock.shared.sleep(for: .milliseconds(50))
        }
    }

    private func say(_ person: Crowd.Person) async throws {
        number += 1
        let text = "text \(number)"
        if try await person.say(text) == [:] { acknowledged.append(text) }
    }

    /// Newcomers to another room, one after the other; who is in leaves.
    private func visit(_ connector: String) async throws {
        while !isOver {
            number += 1
            let name = "visitor-\(number)"
            let client = try await world.processes.connect(connector)
            var cameIn = false
            while !isOver && !cameIn {
                let began = SystemClock.shared.now
                let answer = try await client.request(
                    "connector.entryHandler.enter", ["username": .string(name), "rid": "lobby"])
                cameIn = answer["users"] != nil
                attempts.append((connector, began, SystemClock.shared.now, cameIn))
                await SystemClock.shared.sleep(for: .milliseconds(100))
            }
            client.close()
        }
    }

    // MARK: what is right

    /// Newcomers have come in at every connector.
    private func isOpen(since time: UInt64) -> Bool {
        Self.connectors.allSatisfy { connector in
            attempts.contains { $0.connector == connector && $0.began > time && $0.cameIn }
        }
    }

    /// From everybody to somebody at the other connector, which takes knowing where they are.
    private func whispersArrive() async throws -> Bool {
        let people = crowd.present()
        for (index, person) in people.enumerated() {
            let friend = people[(index + people.count / 2) % people.count]
            if try await person.say("to \(friend.name)", to: friend.name) != [:] { return false }
        }
        return true
    }

    private func isPublished() async throws -> Bool {
        var people: [String: [String]] = [:]
        for connector in Self.connectors { people[connector] = crowd.present(at: connector).map(\.name) }
        return try await world.holds(people, of: Self.room)
    }

    private func count(since before: [Int], _ outcome: inout Outcome) async throws {
        outcome.wrong += failures
        failures = []
        let people = crowd.present()
        for person in people { try await say(person) }
        if try await !whispersArrive() { outcome.wrong.append("a whisper did not arrive") }
        outcome.acknowledged = acknowledged.count
        if people.count != crowd.people.count { outcome.wrong.append("\(people.count) are left") }
        outcome.wrong += try await crowd.wrongLists().map { "\($0) has \($1) in the list" }
        for (person, start) in zip(crowd.people, before) {
            try await eventually("\(person.name) hears the last word") {
                acknowledged.last.map(person.texts.contains) ?? true
            }
            outcome.wrong += wrongs(person, person.client.pushes.dropFirst(start))
        }
    }

    /// What somebody who was there all the time should not have heard, or not have missed.
    private func wrongs(_ person: Crowd.Person, _ pushes: ArraySlice<TestClient.Pushed>) -> [String] {
        var wrong: [String] = []
        var heard: [String: Int] = [:]
        for push in pushes {
            let body = try? JSON.parse(push.body)
            switch push.route {
            case "onChat" where body?["target"]?.string == "*": heard[body?["msg"]?.string ?? "", default: 0] += 1
            case "onLeave", "onAdd": wrong.append("\(person.name) heard \(push.route) \(body ?? .null)")
            default: break
            }
        }
        for text in acknowledged where heard[text] == nil { wrong.append("\(person.name) missed '\(text)'") }
        for (text, times) in heard where times > 1 { wrong.append("\(person.name) heard '\(text)' \(times) times") }
        return wrong
    }
}
