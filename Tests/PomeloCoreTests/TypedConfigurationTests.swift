// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import Testing

/// Files of the application's own, read as types.
@Suite struct TypedConfigurationTests {
    struct Game: Codable, Equatable {
        struct Fight: Codable, Equatable {
            var isOn: Bool
            var level: Int?
        }
        var areas: Int
        var fight: Fight
    }

    /// With defaults, and no hand-written decoder.
    struct GameOptions: FileOptions, Codable, Equatable {
        struct Fight: Codable, Equatable { var isOn = true, level = 10 }
        static let fileName = "game"
        var areas = 4
        var fight = Fight()
        var names = ["east"]
    }

    @Loop private func app(_ folder: String) throws -> Application {
        let clock = ManualClock()
        return try Application(
            Configuration(servers: TestCluster.records(connectors: 0, chats: 1), folder: folder), id: "chat-1",
            world: World(
                clock: clock, random: RandomSource(seed: 1), network: MemoryNetwork(clock: clock).endpoint("a"),
                transport: LoopbackNetwork(clock: clock).transport(of: "chat-1")))
    }

    private static let game = #"{"areas":2,"fight":{"isOn":true}}"#
    static let places = [
        ["game.json": #"{"development":\#(game),"production":{}}"#], ["game.json": game],
        ["development/game.json": game],
    ]

    @Test(arguments: places) @Loop func loadConfigReadsTheSectionAsAType(_ files: [String: String]) throws {
        try withFolder(files) { folder in
            let app = try app(folder)
            let game = try app.loadConfig("game.json", as: Game.self)
            #expect(game == Game(areas: 2, fight: .init(isOn: true)) && app.get("game")?["areas"] == 2)
            #expect(try app.loadConfig("game", as: Game.self) == game)
            #expect(try app.loadConfig("game.json")["areas"] == 2)
        }
    }

    static let mistakes = [
        (#"{"areas":2}"#, "config/game.json: fight is missing"),
        (#"{"areas":2,"fight":{"isOn":1}}"#, "config/game.json: fight.isOn: Expected true or false, found a number."),
        (
            #"{"areas":2,"fight":{"isOn":true,"leval":1}}"#,
            "config/game.json: fight: unknown key leval; known are: isOn, level"
        ),
        ("{\"areas\":2,\n \"fight\":}", "config/game.json is not JSON: line 2, column 10: expected a value"),
        (
            #"{"production":{"areas":2,"fight":{"isOn":true}}}"#,
            "config/game.json: areas is missing; the file has no section \"development\" and was taken whole; "
                + "it has: production"
        ),
    ]

    @Test(arguments: mistakes) @Loop func aMistakeIsNamedByFileAndPlace(_ text: String, _ says: String) throws {
        try withFolder(["game.json": text]) { folder in
            let app = try app(folder)
            let error = try #require(throws: PomeloError.self) { try app.loadConfig("game", as: Game.self) }
            #expect(error.code == .configuration && error.message.replacing(folder, with: "config") == says)
            #expect(app.get("game") == nil)
        }
    }

    /// Two parts of an application share a file.
    @Test @Loop func aTypeMayBeOfOneKeyOfAFile() throws {
        struct Herbs: Codable, Equatable { var rate: Int }
        struct Loose: Codable { var rate: Int? }
        let text = #"{"size":1,"herbs":{"rate":3},"fight":{"isOn":true},"é":{"isOn":1}}"#
        try withFolder(["game.json": text]) { folder in
            let app = try app(folder)
            #expect(try app.loadConfig("game", as: Herbs.self, under: "herbs") == Herbs(rate: 3))
            #expect(try app.loadConfig("game", as: Game.Fight.self, under: "fight").isOn)
            #expect(app.get("game")?["herbs"]?["rate"] == 3)
            for (key, says) in [
                ("fight", "config/game.json: fight: unknown key isOn; known are: rate"),
                ("trees", "config/game.json: trees is missing"), ("", "config/game.json:  is missing"),
                ("e\u{301}", "config/game.json: e\u{301} is missing"),
            ] {
                let error = try #require(throws: PomeloError.self) {
                    try app.loadConfig("game", as: Loose.self, under: key)
                }
                #expect(error.message.replacing(folder, with: "config") == says)
            }
        }
    }

    @Test(arguments: ["../game", "config/game.json", "/etc/passwd", "a/../game"])
    @Loop func aPathIsNoNameOfAFile(_ path: String) throws {
        try withFolder(["game.json": "{}"]) { folder in
            let app = try app(folder)
            let error = try #require(throws: PomeloError.self) { try app.loadConfig(path) }
            #expect(
                error.message.contains("\"\(path.replacing(".json", with: ""))\" is a path: give the name of a file"))
            #expect(throws: PomeloError.self) { try app.loadConfig(path, as: Game.self) }
        }
    }

    private func options(_ text: String?) throws -> GameOptions {
        try withFolder(text.map { ["game.json": $0] } ?? [:]) { folder in
            do {
                return try Configuration(servers: [], folder: folder).options(GameOptions())
            } catch let error as PomeloError {
                throw PomeloError(error.code, error.message.replacing(folder, with: "config"))
            }
        }
    }

    @Test func optionsThatAreCodableMayLeaveKeysOut() throws {
        #expect(try options(nil) == GameOptions() && options("{}") == GameOptions())
        var expected = GameOptions()
        expected.fight.level = 3
        #expect(try options(#"{"development":{"fight":{"level":3}}}"#) == expected)
        // Objects only, and yet no sections.
        #expect(try options(#"{"fight":{"level":3}}"#) == expected)
        #expect(try options(#"{"production":{"fight":{"level":3}}}"#) == GameOptions())
        #expect(try options(#"{"names":[]}"#).names.isEmpty)
        for (text, says) in [
            (#"{"fight":{"level":"3"}}"#, "config/game.json: fight.level: Expected a number, found a string."),
            (#"{"fight":{"lvl":3}}"#, "config/game.json: fight: unknown key lvl; known are: isOn, level"),
            (#"{"area":3}"#, "config/game.json: unknown key area; known are: areas, fight, names"),
        ] {
            let error = try #require(throws: PomeloError.self) { try options(text) }
            #expect(error.message == says)
        }
    }

    struct Clan: Plugin {
        struct Options: Codable { var size = 5, rank = Rank(); struct Rank: Codable { var from = 1, to = 9 } }
        let name = "clan"
        let taken: @Loop (Options) -> Void
        func install(into app: Application, _ options: inout PluginOptions) throws {
            taken(try options.take("clan", over: Options()))
        }
    }

    @Test @Loop func optionsOfAPluginMayLeaveKeysOut() throws {
        let app = try app("")
        var taken: Clan.Options?
        try app.use(Clan { taken = $0 }, ["clan": ["rank": ["to": 3]]])
        #expect(taken?.size == 5 && taken?.rank.from == 1 && taken?.rank.to == 3)
    }

    @Test func identifiersStandInJSON() throws {
        let (user, server, session) = (UserID("ann"), ServerID("chat-1"), SessionID(5))
        let body: JSON = ["uid": .init(user), "server": .init(server), "session": .init(session)]
        #expect(body.description == #"{"uid":"ann","server":"chat-1","session":5}"#)
        #expect(try JSON([user]) == ["ann"] && JSON(UserID?.none) == nil)
    }

    /// Which routes there are may depend on the server.
    private struct Listed: Handler {
        let kind: String
        let areas: [Int]

        var routes: [ServedRoute] {
            on(json: "chat.test.always") { body, _ in body }
            if kind == "open" { on(json: "chat.test.open") { body, _ in body } }
            switch kind {
            case "shut": on(json: "chat.test.shut") { body, _ in body }
            default: more
            }
            for area in areas { on(json: "chat.test.area\(area)") { _, _ in .init(area) } }
        }

        var more: [ServedRoute] { [on(raw: "chat.more.raw") { body, _ in body }] }
    }

    @Test @Loop func routesAreListedByIfForAndSwitch() throws {
        for (kind, areas, methods) in [
            ("open", [1, 2], ["always", "open", "raw", "area1", "area2"]), ("shut", [], ["always", "shut"]),
        ] {
            let routes = Listed(kind: kind, areas: areas).routes
            #expect(routes.count == methods.count)
            let app = try app("")
            try app.handle(Listed(kind: kind, areas: areas))
            for (index, method) in methods.enumerated() {
                let isThere = "\(routes[index])".contains(method)
                #expect(isThere)
            }
        }
    }
}
