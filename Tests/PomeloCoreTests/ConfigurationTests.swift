// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import Testing

/// The files of a configuration folder, and what is said about those that are wrong.
@Suite struct ConfigurationTests {
    static let master = #"{"development":{"id":"master-server-1","host":"127.0.0.1","port":3005}}"#
    static let servers = """
        {"development":{
          "connector":[{"id":"c-1","host":"10.0.0.1","port":4050,"clientPort":3050,"frontend":"true",
            "clientHost":"chat.example",
                        "max-connections":7,"bind":"0.0.0.0","weight":3,"area":{"x":1}}],
          "chat":[{"id":"chat-2","port":6051},{"id":"chat-1","port":6050,"frontend":false}]},
         "production":{"chat":[{"id":"chat-9","port":6059}]}}
        """

    @Test func pomelosFilesAreRead() throws {
        try withFolder(["servers.json": Self.servers, "master.json": Self.master]) { folder in
            let configuration = try Configuration(folder: folder, env: "development")
            #expect(configuration.servers.map(\.id) == ["c-1", "chat-1", "chat-2", "master-server-1"])
            #expect(configuration.clusterName == "pomelo")
            let connector = try configuration.record("c-1")
            #expect(
                connector.isFrontend && connector.clientPort == 3050 && connector.clientHost == "chat.example"
                    && connector.maxConnections == 7 && connector.bind == "0.0.0.0" && connector.type == "connector")
            #expect(connector.weight == 3 && connector.metadata.keys == ["area"])
            let chat = try configuration.record("chat-1")
            #expect(!chat.isFrontend && chat.host == "127.0.0.1" && chat.clientPort == nil)
            #expect(configuration.binding("c-1", to: "127.0.0.2").servers.first?.bind == "127.0.0.2")
            #expect(try configuration.record("master-server-1").type == .master)
        }
    }

    @Test func anEnvironmentHasItsSectionOrItsFolder() throws {
        let files = [
            "servers.json": Self.servers, "production/master.json": #"{"id":"m","port":3006,"name":"blue"}"#,
            "app.json": #"{"limit":1,"production":{"limit":2}}"#, "production/own.json": #"{"production":{"limit":3}}"#,
        ]
        try withFolder(files) { folder in
            let configuration = try Configuration(folder: folder, env: "production")
            #expect(configuration.servers.map(\.id) == ["chat-9", "m"] && configuration.clusterName == "blue")
            #expect(try configuration.section("app")["limit"] == 2)
            #expect(try configuration.section("own")["production"] != nil)
        }
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let name: String
        var servers: String? = ConfigurationTests.servers
        var master: String? = ConfigurationTests.master
        let says: [String]
        var testDescription: String { name }

        init(_ name: String, servers: String?, says: String...) {
            self.name = name
            self.servers = servers
            self.says = says
        }

        init(_ name: String, master: String?, says: String...) {
            self.name = name
            self.master = master
            self.says = says
        }

        init(_ name: String, chat: String, says: String...) {
            self.name = name
            servers = #"{"development":{"chat":[\#(chat)]}}"#
            self.says = says
        }
    }

    static let bad: [Bad] = [
        Bad("no servers.json", servers: nil, says: "servers.json", "there is no"),
        Bad("no master.json", master: nil, says: "master.json", "there is no"),
        Bad("half a file", servers: #"{"development":{"chat":["#, says: "servers.json", "not JSON"),
        Bad("an array", servers: "[]", says: "servers.json", "must hold an object"),
        Bad("another environment only", servers: #"{"staging":{"chat":[]}}"#, says: "servers.json", "development"),
        Bad("a type without a list", servers: #"{"development":{"chat":{}}}"#, says: "servers.json", "chat", "list"),
        Bad("a server that is no object", chat: "1", says: "servers.json", "chat[0]"),
        Bad("no id", chat: #"{"port":1}"#, says: "servers.json: chat[0]: id is missing"),
        Bad(
            "an id in capitals", chat: #"{"ID":"a","port":1}"#,
            says: #"id is missing; it has "ID", which is another key"#),
        Bad("an id with a colon", chat: #"{"id":"a:b","port":1}"#, says: "servers.json", "a:b"),
        // Files are called by it.
        Bad("an id of another folder", chat: #"{"id":"../x","port":1}"#, says: "servers.json", "../x", "dot"),
        Bad("an id that is a path", chat: #"{"id":"a/b","port":1}"#, says: "servers.json", "a/b", "/"),
        Bad("an id that ends a line", chat: #"{"id":"a\nb","port":1}"#, says: "servers.json", "control"),
        Bad("an id with a brace", chat: #"{"id":"{a","port":1}"#, says: "servers.json", "{a"),
        Bad("an id that is a number", chat: #"{"id":1,"port":1}"#, says: "servers.json", "id must be a text"),
        Bad("no port", chat: #"{"id":"a"}"#, says: "servers.json: chat[0] (a): port is missing"),
        Bad(
            "a port in capitals", chat: #"{"id":"a","PORT":1,"ports":[1]}"#,
            says: #"(a): port is missing; it has "PORT", which is another key"#),
        Bad("a weight of 0", chat: #"{"id":"a","port":1,"weight":0}"#, says: "chat[0] (a): weight must be"),
        Bad("args that are a number", chat: #"{"id":"a","port":1,"args":1}"#, says: "servers.json", "args must be"),
        Bad("args with a number", chat: #"{"id":"a","port":1,"args":["x",1]}"#, says: "servers.json", "args must be"),
        Bad("a cluster of 0", chat: #"{"clusterCount":0,"port":"1++"}"#, says: "servers.json", "clusterCount"),
        Bad("a cluster of many", chat: #"{"clusterCount":"1001","port":"1++"}"#, says: "clusterCount"),
        Bad("a cluster of words", chat: #"{"clusterCount":2,"port":"x++"}"#, says: "chat[0]: port", "x++"),
        Bad(
            "a cluster on one port", chat: #"{"clusterCount":2,"port":70000}"#,
            says: "chat[0] (cluster-server-chat-0): port must be"),
        Bad(
            "a cluster whose ids are taken",
            chat: #"{"id":"cluster-server-chat-0","port":1},{"clusterCount":1,"port":2}"#,
            says: "cluster-server-chat-0 is used twice"),
        Bad("a port that is a text", chat: #"{"id":"a","port":"1"}"#, says: "servers.json", "port must be"),
        Bad("a port too high", chat: #"{"id":"a","port":65536}"#, says: "servers.json", "port must be"),
        Bad("a client port too low", chat: #"{"id":"a","port":1,"clientPort":0}"#, says: "clientPort must be"),
        Bad("frontend yes", chat: #"{"id":"a","port":1,"frontend":"yes"}"#, says: "frontend must be true or false"),
        Bad("max-connections 0", chat: #"{"id":"a","port":1,"max-connections":0}"#, says: "max-connections"),
        Bad("an id twice", chat: #"{"id":"a","port":1},{"id":"a","port":2}"#, says: "servers.json", "a is used twice"),
        Bad(
            "the master's id twice", chat: #"{"id":"master-server-1","port":1}"#,
            says: "master-server-1 is used twice"),
        Bad("a cluster name with a slash", master: #"{"id":"m","port":1,"name":"a/b"}"#, says: "master.json", "name"),
        Bad("an empty cluster name", master: #"{"id":"m","port":1,"name":""}"#, says: "master.json", "name"),
    ]

    @Test(arguments: bad) func whatIsWrongIsNamed(_ bad: Bad) throws {
        var files: [String: String] = [:]
        if let servers = bad.servers { files["servers.json"] = servers }
        if let master = bad.master { files["master.json"] = master }
        try withFolder(files) { folder in
            let error = try #require(throws: PomeloError.self) {
                try Configuration(folder: folder, env: "development")
            }
            #expect(error.code == .configuration)
            for text in bad.says { #expect(error.message.contains(text), "\(error.message)") }
        }
    }

    @Test @Loop func anUnknownIdIsAnErrorThatListsTheIds() throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        let error = try #require(throws: PomeloError.self) { try cluster.make("area-1") }
        #expect(error.message.contains("area-1") && error.message.contains("chat-1, connector-1"))
    }

    // MARK: options

    private func reader(_ text: String) throws -> OptionReader {
        try OptionReader(try JSON.parse(Array(text.utf8)), file: "config/x.json")
    }

    @Test func optionsAreReadByKind() throws {
        var options = try reader(#"{"a":"x","b":3,"c":1.5,"d":true,"e":"false","f":null,"g":9}"#)
        #expect(try options.string("a") == "x")
        #expect(try options.int("b", in: 1...3) == 3)
        #expect(try options.seconds("c") == .seconds(1.5))
        #expect(try options.bool("d") == true && options.bool("e") == false && options.bool("f") == nil)
        #expect(try options.string("absent") == nil)
        #expect(options.rest.keys == ["g"])
        #expect(try options.int("g") == 9)
        try options.finish()
    }

    /// Keys are decoded strictly: what nobody asked for is an error that names file and key.
    @Test func regression13UnknownOptionsAreRefused() throws {
        var options = try reader(#"{"prefix":"P","channelManager":{}}"#)
        _ = try options.string("prefix")
        let error = try #require(throws: PomeloError.self) { try options.finish() }
        #expect(error.message == "config/x.json: unknown key channelManager; known are: prefix")
    }

    static let wrong = [#""3""#, "1.5", "[]", "true", "-1", "1e30"]

    @Test(arguments: wrong) func optionsOfAnotherKindAreRefused(_ value: String) throws {
        var options = try reader(#"{"key":\#(value)}"#)
        let error = try #require(throws: PomeloError.self) { try options.int("key", in: 0...10) }
        #expect(error.message == "config/x.json: key must be a whole number from 0 to 10")
    }

    @Test func secondsArePositiveAndBooleansAreBooleans() throws {
        for value in ["0", "-1", #""1""#, "true", "1e300", "1e-9", "1000000001"] {
            var options = try reader(#"{"key":\#(value)}"#)
            #expect(throws: PomeloError.self) { try options.seconds("key") }
        }
        for value in ["0", "1", #""yes""#, "[]"] {
            var options = try reader(#"{"key":\#(value)}"#)
            #expect(throws: PomeloError.self) { try options.bool("key") }
        }
        #expect(throws: PomeloError.self) { try reader("[]") }
    }

    @Test @Loop func loadConfigStoresTheSection() throws {
        try withFolder(["room.json": #"{"development":{"size":5}}"#]) { folder in
            let records = TestCluster.records(connectors: 0, chats: 1)
            let clock = ManualClock()
            let app = try Application(
                Configuration(servers: records, folder: folder), id: "chat-1",
                world: World(
                    clock: clock, random: RandomSource(seed: 1), network: MemoryNetwork(clock: clock).endpoint("a"),
                    transport: LoopbackNetwork(clock: clock).transport(of: "chat-1")))
            #expect(try app.loadConfig("room")["size"] == 5 && app.get("room")?["size"] == 5)
            let error = try #require(throws: PomeloError.self) { try app.loadConfig("hall") }
            #expect(error.message.contains("\(folder)/hall.json"))
        }
    }
}
