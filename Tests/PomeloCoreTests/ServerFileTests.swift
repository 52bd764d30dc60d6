// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloJSON
import Testing

/// Every field that pomelo knows in `servers.json`, and the command line above it.
@Suite struct ServerFileTests {
    private func configuration(_ servers: String) throws -> Configuration {
        try withFolder([
            "config/servers.json": #"{"development":\#(servers)}"#,
            "config/master.json": #"{"id":"m","host":"10.0.0.9","port":3005}"#,
        ]) { folder in try Configuration(folder: "\(folder)/config", env: "development") }
    }

    @Test func aShorthandRecordIsSeveralServers() throws {
        let configuration = try configuration(
            """
            {"connector":[
              {"clusterCount":2,"host":"10.0.0.1","port":"3150++","clientPort":"3010++","frontend":"true",
                "zone":"a++b"},
              {"clusterCount":"1","host":"10.0.0.2","port":"3150++","clientPort":3010,"frontend":true}]}
            """)
        let made = configuration.servers("connector")
        #expect(made.map(\.id.rawValue) == (0...2).map { "cluster-server-connector-\($0)" })
        #expect(made.map(\.host) == ["10.0.0.1", "10.0.0.1", "10.0.0.2"])
        #expect(made.map(\.port) == [3150, 3151, 3150] && made.map(\.clientPort) == [3010, 3011, 3010])
        #expect(made.allSatisfy { $0.isFrontend } && made[0].metadata == ["zone": "a++b"])
    }

    /// pomelo 2.2.7 crashed; lib/util/utils.js, `loadCluster`.
    @Test func regressionAFieldOfAShorthandRecordMayBeNull() throws {
        let configuration = try configuration(
            #"{"chat":[{"clusterCount":2,"host":null,"port":"6050++","area":null}]}"#)
        #expect(configuration.servers("chat").map(\.port) == [6050, 6051])
        #expect(configuration.servers("chat").map(\.host) == ["127.0.0.1", "127.0.0.1"])
    }

    @Test func everyFieldIsReadAndUnknownOnesAreKept() throws {
        let configuration = try configuration(
            """
            {"chat":[{"id":"chat-1","port":1,"args":"--x","cpu":2,"auto-restart":"true","restart-force":true,"weight":4,
                      "area":{"id":7}}, {"id":"chat-2","port":2,"args":["--x","--y"],"auto-restart":false}],
             "gate":[{"id":"gate-1","clientPort":3014,"frontend":true}]}
            """)
        let first = try #require(configuration["chat-1"])
        #expect(first.launch.arguments == ["--x"] && first.launch.cpu == 2 && first.weight == 4)
        #expect(first.launch.restarts && first.launch.restartsByForce)
        #expect(first.metadata == ["area": ["id": 7]])
        #expect(first.isBackend && !first.isFrontend)
        let second = try #require(configuration["chat-2"])
        #expect(second.launch.arguments == ["--x", "--y"] && !second.launch.restarts && second.metadata.isEmpty)
        #expect(configuration["gate-1"]?.port == 0)
    }

    /// In the original a record straight from the file was neither frontend nor backend, and the master a backend.
    @Test func frontendAsBooleanOrTextIsAFrontendAndTheMasterIsNeither() throws {
        let configuration = try configuration(
            #"{"c":[{"id":"a","port":1,"frontend":true},{"id":"b","port":2,"frontend":"true"},{"id":"d","port":3}]}"#)
        #expect(configuration.servers("c").map(\.isFrontend) == [true, true, false])
        #expect(configuration.servers("c").map(\.isBackend) == [false, false, true])
        let master = try #require(configuration.master)
        #expect(!master.isFrontend && !master.isBackend && master.host == "10.0.0.9")
    }

    @Test func theConfigurationIsFoundByIdAndType() throws {
        let configuration = try configuration(#"{"chat":[{"id":"b","port":2},{"id":"a","port":1}],"area":[]}"#)
        #expect(configuration.servers("chat").map(\.id) == ["a", "b"] && configuration.servers("none").isEmpty)
        #expect(configuration["a"]?.port == 1 && configuration["nobody"] == nil)
        #expect(configuration.serverTypes == ["chat"])
        #expect(configuration.folder == configuration.base + "/config")
        let here = FileManager.default.currentDirectoryPath
        let byHand = Configuration(servers: [ServerRecord(id: "a", type: "chat", port: 1)])
        #expect(byHand.base == here, "an absolute path, whatever the folder's is")
        let relative = Configuration(servers: byHand.servers, folder: "./config/")
        #expect(relative.base == here)
    }

    // MARK: ports

    static let clashes: [(servers: String, words: String)] = [
        (#"{"chat":[{"id":"a","port":1},{"id":"b","port":1}]}"#, "port of a and port of b are both 127.0.0.1:1"),
        (
            #"{"chat":[{"id":"a","port":1}],"c":[{"id":"b","port":2,"clientPort":1,"frontend":true}]}"#,
            "port of a and clientPort of b are both 127.0.0.1:1"
        ),
        (
            #"{"c":[{"id":"a","clientPort":1,"frontend":true},{"id":"b","clientPort":1,"frontend":true}]}"#,
            "clientPort of a and clientPort of b are both 127.0.0.1:1"
        ),
        (
            #"{"c":[{"id":"a","clientPort":1,"bind":"0.0.0.0","frontend":true},{"id":"b","port":1}]}"#,
            "clientPort of a and port of b are both 127.0.0.1:1"
        ),
        (
            #"{"c":[{"id":"a","port":1,"clients":[{"type":"x","port":2},{"type":"y","port":1}],"frontend":true}]}"#,
            "port of a and clients of a are both 127.0.0.1:1"
        ),
        (
            #"{"c":[{"id":"a","port":1,"clients":[{"type":"udp","port":2}],"frontend":true},"#
                + #"{"id":"b","port":3,"frontend":true,"#
                + #""clients":[{"type":"x","port":4},{"type":"udp","port":2}]}]}"#,
            "clients of a and clients of b are both 127.0.0.1:2"
        ),
        (#"{"chat":[{"id":"a","host":"10.0.0.9","port":3005}]}"#, "port of a and port of m are both 10.0.0.9:3005"),
    ]

    /// The second to start found its port taken, which looked like another program's doing.
    @Test(arguments: clashes) func twoOfOnePortAreNamed(_ clash: (servers: String, words: String)) throws {
        let error = try #require(throws: PomeloError.self) { try configuration(clash.servers) }
        #expect(error.message.hasSuffix("config/servers.json: \(clash.words)"), "\(error.message)")
        let onCommandLine = try configuration(#"{"chat":[{"id":"a","port":1},{"id":"b","port":2}]}"#)
        #expect(throws: PomeloError.self) { try onCommandLine.applying(try ProcessArguments(["id=b", "port=1"])) }
    }

    /// TCP and UDP number their ports apart.
    @Test func aPortOfUDPMayHaveTheNumberOfAnother() throws {
        let both = #"[{"type":"hybrid","port":2},{"type":"udp","port":2}]"#
        let a = #"{"id":"a","port":1,"clients":\#(both),"frontend":true}"#
        let b = #"{"id":"b","port":3,"clients":[{"type":"udp","port":1}],"frontend":true}"#
        #expect(try configuration("{\"c\":[\(a),\(b)]}").servers("c").count == 2)
    }

    static let names = [
        ("localhost", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "127.0.0.1"), ("[::1]", "localhost"),
    ]

    /// A file of two hosts looked like one of two machines.
    @Test(arguments: names, [false, true])
    func namesOfOneMachineAreSeenAsOne(_ hosts: (String, String), _ isTurned: Bool) throws {
        let (a, b) = isTurned ? (hosts.1, hosts.0) : hosts
        let servers = #"{"chat":[{"id":"a","host":"\#(a)","port":1},{"id":"b","host":"\#(b)","port":1}]}"#
        let error = #expect(throws: PomeloError.self) { try configuration(servers) }
        let words = "port of a and port of b are one of one machine: \(a):1 and \(b):1"
        #expect(error?.message.hasSuffix(words) == true, "\(error?.message ?? "")")
    }

    static let fine = [
        // One port of several connectors, which listen together.
        #"{"c":[{"id":"a","port":1,"clients":[{"type":"x","port":2},{"type":"y","port":2}],"frontend":true}]}"#,
        // Two machines.
        #"{"chat":[{"id":"a","host":"10.0.0.1","port":1},{"id":"b","host":"10.0.0.2","port":1}]}"#,
        #"{"c":[{"id":"a","host":"h1","clientPort":1,"bind":"0.0.0.0","frontend":true},"#
            + #"{"id":"b","host":"h2","clientPort":1,"bind":"0.0.0.0","frontend":true}]}"#,
        // Two addresses of one machine.
        #"{"c":[{"id":"a","clientPort":1,"bind":"127.0.0.2","frontend":true},{"id":"b","port":1}]}"#,
        #"{"chat":[{"id":"a","host":"::1","port":1},{"id":"b","host":"127.0.0.1","port":1}]}"#,
        // Free ports.
        #"{"c":[{"id":"a","clientPort":1,"frontend":true},{"id":"b","clientPort":2,"frontend":true}]}"#,
    ]

    @Test(arguments: fine) func portsThatDoNotMeetAreFine(_ servers: String) throws {
        #expect(try configuration(servers).servers.count > 1)
    }

    // MARK: the command line

    /// In pomelo 2.2.7 booleans stayed texts; lib/util/appUtil.js.
    @Test func pomelosFormAndFlagsSayTheSame() throws {
        let forms = [
            ["env=production", "id=chat-1", "serverType=chat", "port=6050", "auto-restart=true", "area=east"],
            [
                "--env", "production", "--id=chat-1", "--server-type", "chat", "--port=6050", "--auto-restart",
                "--area=east",
            ],
        ]
        for words in forms {
            let arguments = try ProcessArguments(words)
            #expect(arguments.env == "production" && arguments.id == "chat-1" && arguments.serverType == "chat")
            #expect(arguments.fields == ["port": 6050, "auto-restart": true, "area": "east"])
        }
        #expect(try ProcessArguments(["id=12"]).id == "12")
        #expect(try ProcessArguments(["url=redis://h?a=b"]).fields == ["url": "redis://h?a=b"])
    }

    static let wrong = ["id", "=x", "--", "--=x", "id=", "id=a id=b", "x=1 --x 2", "env=a --env b"]

    /// pomelo 2.2.7 made a key of such a word without its last letter; lib/util/appUtil.js.
    @Test(arguments: wrong) func aWordThatIsNoArgumentIsNamed(_ line: String) throws {
        let error = try #require(throws: PomeloError.self) {
            try ProcessArguments(line.split(separator: " ").map(String.init))
        }
        #expect(error.code == .configuration)
    }

    @Test func theCommandLineStandsAboveTheFile() throws {
        let file = try configuration(
            #"{"chat":[{"id":"chat-1","host":"10.0.0.1","port":1,"weight":2,"auto-restart":true,"area":"west"}]}"#)
        let words = ["id=chat-1", "port=6050", "auto-restart=false", "area=east", "max-connections=9"]
        let (changed, id) = try file.applying(try ProcessArguments(words))
        let record = try changed.record(id)
        #expect(record.port == 6050 && record.host == "10.0.0.1" && record.weight == 2 && record.maxConnections == 9)
        #expect(!record.launch.restarts && record.metadata == ["area": "east"])
        #expect(changed.servers.count == file.servers.count)
        let same = try file.applying(try ProcessArguments(["id=chat-1"]))
        #expect(same.configuration.servers == file.servers)
    }

    @Test func aServerThatNoFileNamesStartsByItsType() throws {
        let file = try configuration(#"{"chat":[{"id":"chat-1","port":1}]}"#)
        let (changed, id) = try file.applying(try ProcessArguments(["id=chat-9", "serverType=chat", "port=6059"]))
        #expect(try changed.record(id).type == "chat" && changed.servers.count == file.servers.count + 1)
    }

    static let refused: [String: String] = [
        "": "chat-1", "id=nobody": "chat-1", "id=chat-1 serverType=area": "chat-1 is a chat",
        "id=x serverType=chat": "the command line: port is missing", "id=chat-1 port=70000": "port must be",
    ]

    @Test(arguments: refused.keys.sorted()) func aServerThatCannotBeIsRefused(_ line: String) throws {
        let file = try configuration(#"{"chat":[{"id":"chat-1","port":1}]}"#)
        let arguments = try ProcessArguments(line.split(separator: " ").map(String.init))
        let error = try #require(throws: PomeloError.self) { try file.applying(arguments) }
        #expect(error.message.contains(Self.refused[line] ?? "?"), "\(error.message)")
    }
}
