// SPDX-License-Identifier: MIT
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers

/// Many people in one room of a Chat cluster, each of whom keeps the list of the others as a page does.
@Loop final class Crowd {
    /// One person's stay over one connection.
    @Loop final class Person {
        let name: String
        let connector: String
        let client: TestClient
        private var listed: Set<String>
        /// How many pushes came before the list was asked for.
        private var pushesBefore = 0
        private var gaps = 0

        init(_ name: String, at connector: String, _ client: TestClient, listed: Set<String>) {
            self.name = name
            self.connector = connector
            self.client = client
            self.listed = listed
        }

        /// What was pushed under some routes, in order, with the user it is about.
        func heard(_ routes: String..., of user: String? = nil) -> [(route: String, user: String)] {
            Self.members(client.pushes[...], of: routes).filter { user == nil || $0.user == user }
        }

        private static func members(
            _ pushes: ArraySlice<TestClient.Pushed>, of routes: [String]
        ) -> [(route: String, user: String)] {
            pushes.filter { routes.contains($0.route) }.map {
                ($0.route, (try? JSON.parse($0.body))?["user"]?.string ?? "")
            }
        }

        /// After a gap the page asks for the list anew; so does this.
        func listAfterGap() async throws {
            guard heard("onGap").count > gaps else { return }
            let (gaps, pushes) = (heard("onGap").count, client.pushes.count)
            guard let users = try await client.request("chat.chatHandler.list", [:])["users"]?.array else { return }
            (self.gaps, pushesBefore) = (gaps, pushes)
            listed = Set(users.compactMap(\.string))
        }

        /// Who is in the room, by the answer and what was pushed since.
        var list: [String] {
            var names = listed
            for (route, user) in Self.members(client.pushes.dropFirst(pushesBefore), of: ["onAdd", "onLeave"]) {
                if route == "onAdd" { names.insert(user) } else { names.remove(user) }
            }
            return names.sorted()
        }

        var texts: Set<String> {
            Set(client.pushes.filter { $0.route == "onChat" }.compactMap { (try? JSON.parse($0.body))?["msg"]?.string })
        }

        func say(_ text: String, to target: String = "*") async throws -> JSON {
            try await client.request(
                "chat.chatHandler.send", ["content": .string(text), "target": .string(target)])
        }
    }

    let chat: ServerProcesses
    let room: String
    private(set) var people: [Person] = []

    init(_ chat: ServerProcesses, room: String) {
        self.chat = chat
        self.room = room
    }

    /// Everybody whose connection stands, or those of them at one connector.
    func present(at connector: String? = nil) -> [Person] {
        people.filter { $0.client.end == nil && (connector == nil || $0.connector == connector) }
    }

    var names: [String] { present().map(\.name).sorted() }

    /// Enters, as often as it takes.
    @discardableResult
    func enter(_ name: String, at connector: String, within limit: Duration = .seconds(10)) async throws -> Person {
        let client = try await chat.connect(connector)
        var users: [JSON]?
        try await eventually("\(name) is in the room", within: limit) {
            users = try await client.request(
                "connector.entryHandler.enter", ["username": .string(name), "rid": .string(room)])["users"]?.array
            return users != nil
        }
        let person = Person(name, at: connector, client, listed: Set((users ?? []).compactMap(\.string)))
        people.append(person)
        return person
    }

    /// So many enter one after the other.
    func enter(_ count: Int, _ prefix: String, at connector: String) async throws -> [Person] {
        var all: [Person] = []
        for number in 1...count { all.append(try await enter("\(prefix)\(number)", at: connector)) }
        return all
    }

    /// All of them at once enter elsewhere.
    func move(_ movers: [Person], to connector: String) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for mover in movers {
                group.addTask { @Loop @Sendable in try await self.enter(mover.name, at: connector) }
            }
            try await group.waitForAll()
        }
    }

    /// Everybody has everybody in the list, and nobody else.
    func isInEveryList() async throws -> Bool { try await wrongLists().isEmpty }

    /// Lists that are not everybody's names, by the one who has them.
    func wrongLists() async throws -> [String: [String]] {
        for person in present() { try await person.listAfterGap() }
        let wrong = present().filter { $0.list != names }
        return Dictionary(wrong.map { ($0.name, $0.list) }) { $1 }
    }
}
