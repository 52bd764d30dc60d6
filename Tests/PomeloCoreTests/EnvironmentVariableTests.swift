// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloJSON
import Testing

/// `POMELO_<FILE>_<KEY>` stands above the file.
@Suite struct EnvironmentVariableTests {
    struct Rooms: FileOptions, Equatable {
        enum Colour: String, CaseIterable { case red, green }

        static let fileName = "rooms"
        var maxSeats = 10
        var pause = Duration.seconds(1)
        var isOpen = true
        var colour = Colour.red
        var title = ""

        mutating func read(_ reader: inout OptionReader) throws {
            maxSeats = try reader.int("maxSeats", in: 1...100) ?? maxSeats
            pause = try reader.seconds("pauseSeconds") ?? pause
            isOpen = try reader.bool("isOpen") ?? isOpen
            colour = try reader.choice("colour") ?? colour
            title = try reader.string("title") ?? title
        }
    }

    private func read<Value>(
        _ files: [String: String], _ variables: [String: String], _ body: (Configuration) throws -> Value
    ) throws -> Value {
        try withFolder(files) { folder in
            do {
                return try body(
                    Configuration(servers: [], folder: folder, variables: EnvironmentVariables(variables)))
            } catch let error as PomeloError {
                throw PomeloError(error.code, error.message.replacing(folder, with: "config"))
            }
        }
    }

    private func rooms(_ text: String?, _ variables: [String: String]) throws -> Rooms {
        try read(text.map { ["rooms.json": $0] } ?? [:], variables) { try $0.options(Rooms()) }
    }

    @Test func aVariableStandsAboveFileAndProgram() throws {
        let file = #"{"development":{"maxSeats":5,"title":"file"}}"#
        let rooms = try rooms(
            file, ["POMELO_ROOMS_MAX_SEATS": "7", "POMELO_ROOMS_PAUSE_SECONDS": "0.5", "POMELO_ROOMS_TITLE": "12"])
        #expect(rooms.maxSeats == 7 && rooms.pause == .seconds(0.5) && rooms.title == "12")
        // Without the file, too; and an empty one is none.
        let bare = try self.rooms(nil, ["POMELO_ROOMS_COLOUR": "green", "POMELO_ROOMS_IS_OPEN": "false"])
        #expect(bare.colour == .green && !bare.isOpen && bare.maxSeats == 10)
        #expect(try self.rooms(file, ["POMELO_ROOMS_MAX_SEATS": ""]).maxSeats == 5)
    }

    static let mistakes = [
        ("POMELO_ROOMS_MAX_SEATS", "101", "POMELO_ROOMS_MAX_SEATS must be a whole number from 1 to 100"),
        ("POMELO_ROOMS_MAX_SEATS", "hidden", "POMELO_ROOMS_MAX_SEATS must be a whole number from 1 to 100"),
        ("POMELO_ROOMS_COLOUR", "blue", #"POMELO_ROOMS_COLOUR must be "red" or "green""#),
        (
            "POMELO_ROOMS_MAX_SEAT", "7",
            "POMELO_ROOMS_MAX_SEAT is no key of config/rooms.json; the nearest is POMELO_ROOMS_MAX_SEATS"
        ),
        (
            "POMELO_ROOMS_WINDOWS", "7",
            "POMELO_ROOMS_WINDOWS is no key of config/rooms.json; known are: POMELO_ROOMS_MAX_SEATS, "
                + "POMELO_ROOMS_PAUSE_SECONDS, POMELO_ROOMS_IS_OPEN, POMELO_ROOMS_COLOUR, POMELO_ROOMS_TITLE"
        ),
    ]

    @Test(arguments: mistakes) func aMistakeNamesTheVariable(_ name: String, _ value: String, _ says: String) throws {
        let error = try #require(throws: PomeloError.self) { try rooms(nil, [name: value]) }
        #expect(error.code == .configuration && error.message == says && !error.message.contains("hidden"))
    }

    /// Options with an object that is read by itself, as `tls` of a connector is.
    struct Doors: FileOptions, Equatable {
        static let fileName = "doors"
        var width = 1
        var lock: [String] = []

        mutating func read(_ reader: inout OptionReader) throws {
            width = try reader.int("width") ?? width
            guard var inner = try reader.nested("lock") else { return }
            lock = [try inner.string("keyFile") ?? "", try inner.string("kind") ?? ""]
            try inner.finish()
        }
    }

    @Test func aVariableIsAKeyWithinAKeyThatIsReadByItself() throws {
        func doors(_ file: String, _ variables: [String: String]) throws -> Doors {
            try read(["doors.json": file], variables) { try $0.options(Doors()) }
        }
        let file = #"{"lock":{"keyFile":"a","kind":"b"}}"#
        #expect(try doors(file, ["POMELO_DOORS_LOCK_KEY_FILE": "c", "POMELO_DOORS_WIDTH": "2"]).lock == ["c", "b"])
        #expect(try doors("{}", ["POMELO_DOORS_LOCK_KEY_FILE": "c"]).lock == ["c", ""])
        #expect(try doors("{}", ["POMELO_DOORS_LOCK": #"{"kind":"d"}"#]).lock == ["", "d"])
        #expect(try doors("{}", [:]).lock.isEmpty)
        for (name, says) in [
            ("POMELO_DOORS_LOCK_KEYFILE", "the nearest is POMELO_DOORS_LOCK_KEY_FILE"),
            ("POMELO_DOORS_LOCKS", "the nearest is POMELO_DOORS_LOCK"),
        ] {
            let error = try #require(throws: PomeloError.self) { try doors(file, [name: "hidden"]) }
            #expect(error.message.contains("\(name) is no key of ") && error.message.hasSuffix(says))
        }
    }

    private static let game = #"{"areas":2,"fight":{"isOn":true,"maxLevel":1.5},"names":["a"],"title":"t"}"#

    /// Keys within keys are joined, and a value is of the kind that the file has.
    @Test func aVariableStandsAboveAFileReadAsATypeOrAsJSON() throws {
        struct Game: Codable {
            struct Fight: Codable { var isOn: Bool, maxLevel: Double }
            var areas: Int, fight: Fight, names: [String], title: String
        }
        let variables = [
            "POMELO_GAME_AREAS": "3", "POMELO_GAME_FIGHT_IS_ON": "false", "POMELO_GAME_FIGHT_MAX_LEVEL": "9",
            "POMELO_GAME_NAMES": #"["b"]"#, "POMELO_GAME_TITLE": "7",
        ]
        let game = try read(["game.json": Self.game], variables) { try $0.decode("game", as: Game.self) }
        #expect(game.areas == 3 && !game.fight.isOn && game.fight.maxLevel == 9)
        #expect(game.names == ["b"] && game.title == "7")
        let json = try read(["game.json": Self.game], variables) { try $0.section("game.json") }
        #expect(json["fight"]?["isOn"] == false && json["title"] == "7")
        let options = try read([:], ["POMELO_GAME_FIGHT_LEVEL": "2"]) {
            try $0.options(TypedConfigurationTests.GameOptions())
        }
        #expect(options.fight.level == 2 && options.areas == 4)
        let long = "POMELO_GAME_\(String(repeating: "e\u{301}", count: 30_000))\n"
        let unknown = try #require(throws: PomeloError.self) {
            try read(["game.json": Self.game], [long: "1"]) { try $0.section("game") }
        }
        #expect(unknown.message.utf8.count < 500 && !unknown.message.contains("\n"))
        for (name, value, says) in [
            ("POMELO_GAME_AREAS", "many", "POMELO_GAME_AREAS must be a number"),
            ("POMELO_GAME_AREAS", "1.5", "POMELO_GAME_AREAS: areas: Expected a whole number, found another number."),
            ("POMELO_GAME_FIGHT_IS_ON", "1", "POMELO_GAME_FIGHT_IS_ON must be true or false"),
            ("POMELO_GAME_NAMES", "b", "POMELO_GAME_NAMES must be a list, as JSON"),
            (
                "POMELO_GAME_FIGHT_ON", "true",
                "POMELO_GAME_FIGHT_ON is no key of config/game.json; the nearest is POMELO_GAME_FIGHT_IS_ON"
            ),
        ] {
            let error = try #require(throws: PomeloError.self) {
                try read(["game.json": Self.game], [name: value]) { try $0.decode("game", as: Game.self) }
            }
            #expect(error.message == says)
        }
    }

    @Test func theMasterHasVariablesToo() throws {
        let files = [
            "servers.json": #"{"chat":[{"id":"a","port":1}]}"#, "master.json": #"{"id":"m","port":3005,"own":1}"#,
        ]
        try withFolder(files) { folder in
            func load(_ variables: [String: String]) throws -> Configuration {
                try Configuration(folder: folder, env: "test", variables: EnvironmentVariables(variables))
            }
            let changed = try load(["POMELO_MASTER_NAME": "blue", "POMELO_MASTER_PORT": "3006"])
            #expect(changed.clusterName == "blue" && changed.master?.port == 3006)
            #expect(changed.binding("a", to: "::1").clusterName == "blue")
            let error = try #require(throws: PomeloError.self) { try load(["POMELO_MASTER_PROT": "1"]) }
            #expect(error.message.hasSuffix("the nearest is POMELO_MASTER_PORT"))
        }
    }

    /// A key belongs to the file with the longest name: `roomExtra.json`, not `room.json`.
    @Test func aVariableIsOfTheFileWithTheLongestName() throws {
        let files = ["room.json": #"{"size":1}"#, "roomExtra.json": #"{"size":2}"#]
        let (room, extra) = try read(files, ["POMELO_ROOM_EXTRA_SIZE": "5"]) {
            (try $0.section("room"), try $0.section("roomExtra"))
        }
        #expect(room["size"] == 1 && extra["size"] == 5)
    }

    /// What means nothing to any server is named with the nearest; what is of a file is judged by who reads that.
    @Test func anUnknownVariableIsNamedWithTheNearest() throws {
        let lines = try read(
            ["rooms.json": "{}"],
            [
                "POMELO_SECRT": "hidden", "POMELO_CONECTOR_MAX_PENDING": "1", "POMELO_SERVERS_CHAT": "1",
                "POMELO_ROOMS_SIZE": "1", "POMELO_GLOBAL_CHANNEL_PREFIX": "P", "POMELO_ENV": "e", "POMELO_ID": "i",
                "POMELO_CONFIG": "c", "POMELO_SECRET": "s", "POMELO_HOSTS": "h=1", "POMELO_BIND": "::", "PATH": "/",
                "POMELO_ADMIN_USER": "u", "POMELO_ADMIN_PASSWORD": "p", "REDIS_URL": "redis://h",
            ]
        ) { $0.unknownVariables() }
        #expect(lines.count == 3)
        #expect(lines[0] == "POMELO_CONECTOR_MAX_PENDING means nothing; the nearest is POMELO_CONNECTOR_…")
        #expect(lines[1] == "POMELO_SECRT means nothing; the nearest is POMELO_SECRET")
        #expect(
            lines[2]
                == "POMELO_SERVERS_CHAT means nothing: servers.json has no variables, for its entries have no names")
    }

    /// A suggestion that is none of what was meant is worse than none.
    @Test func whereNothingIsNearAllAreNamed() throws {
        let variables = [
            "POMELO_XYZZY_PLUGH": "1", "POMELO_\(String(repeating: "A_", count: 5000))": "1", "POMELO_": "1",
            "POMELO_CRONS_0_TIME": "1", "POMELO_名前": "1", "POMELO_REDS_HOST": "1",
        ]
        let lines = try read(["rooms.json": "{}"], variables) { $0.unknownVariables(besides: ["rooms", "cluster"]) }
        #expect(lines.count == variables.count && lines.allSatisfy { $0.utf8.count < 600 })
        let known = "; known are: POMELO_ADMIN_PASSWORD, POMELO_ADMIN_USER, POMELO_BIND, POMELO_CLUSTER_…, "
        #expect(lines.filter { $0.contains(known) }.count == 4)
        #expect(
            lines.contains(
                "POMELO_XYZZY_PLUGH means nothing" + (lines.last { $0.contains(known) } ?? "").drop { $0 != ";" }))
        #expect(lines.contains("POMELO_REDS_HOST means nothing; the nearest is POMELO_REDIS_…"))
    }

    @Test func aVariableOfAFileThatOptionsAreReadFromIsKnownWithoutTheFile() throws {
        let (without, with) = try read(["rooms.json": "{}"], ["POMELO_EXTRA_GREETING": "Hola"]) {
            ($0.unknownVariables(), $0.unknownVariables(besides: ["extra"]))
        }
        #expect(without.count == 1 && with.isEmpty)
    }

    @Test func whoPrintsAConfigurationPrintsNoSecret() throws {
        let variables = ["POMELO_SECRET": "hidden", "REDIS_URL": "redis://:hidden@h", "HOME": "hidden"]
        let configuration = Configuration(servers: [], variables: EnvironmentVariables(variables))
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hidden") && text.contains("POMELO_SECRET"))
        }
    }

    @Test func theLogLevelIsOneOfSwiftLogs() throws {
        func level(_ text: String?) throws -> String? {
            try LogLevel.read(EnvironmentVariables(text.map { ["LOG_LEVEL": $0] } ?? [:]))?.rawValue
        }
        #expect(try level(nil) == nil && level("") == nil && level("debug") == "debug" && level("ERROR") == "error")
        let error = try #require(throws: PomeloError.self) { try level("loud") }
        #expect(
            error.message == "LOG_LEVEL must be one of: trace, debug, info, notice, warning, error, critical")
    }
}
