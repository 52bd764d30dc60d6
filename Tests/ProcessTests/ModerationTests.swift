// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloGlobalChannel
import PomeloJSON
import PomeloLoop
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

@testable import Chat

/// What plugins do to the chat: in a cluster in memory, with all of its handlers.
@Suite struct ModerationTests {
    // MARK: words

    @Test(arguments: [
        ("darn", "***"), ("Oh DARN, darn!", "Oh ***, ***!"), ("darned undarn d-arn", "darned undarn d-arn"),
        ("darn it", "***"), ("darn its", "*** its"), ("1darn darn2", "1darn darn2"), ("(darn)", "(***)"),
        ("é darn é", "é *** é"), ("édarn", "é***"), ("坏话连篇", "***连篇"), ("", ""), ("dar", "dar"), ("$$ a$$", "*** a***"),
        ("darndarn", "darndarn"), ("darn darn", "*** ***"), ("ÉCLAT éclat Éclat", "ÉCLAT *** Éclat"),
    ])
    func wordsAreHidden(_ text: String, _ shown: String) throws {
        let moderation = try Moderation(["Darn", "darn it", "坏话", "$$", "éclat"])
        #expect(moderation.hiding(.string(text)) == .string(shown))
    }

    @Test func wordsAreHiddenAtEveryDepthOfABody() throws {
        let moderation = try Moderation(["darn"])
        let body: JSON = ["a": ["x", "darn", ["darn": "oh darn"]], "n": 1, "t": true, "z": .null]
        #expect(moderation.hiding(body) == ["a": ["x", "***", ["darn": "oh ***"]], "n": 1, "t": true, "z": .null])
        #expect(moderation.answer(["body": "fine"]) == .ok && moderation.answer("darn") == .ok)
        #expect(
            moderation.answer(["channel": "hall", "body": "darn"]) == .replace(["channel": "hall", "body": "***"]))
        // Its length alone must decide what a body costs.
        var large = JSONObject()
        for number in 0...Moderation.keysLimit { large["\(number)"] = "x" }
        #expect(moderation.hiding(.object(large)) == "***")
    }

    @Test(arguments: [
        [""], [String(repeating: "x", count: 65)], Array(repeating: "x", count: 1001),
    ])
    func wordsAreBounded(_ words: [String]) {
        #expect(throws: PomeloError.self) { try Moderation(words) }
        #expect(throws: Never.self) { try Moderation([String(repeating: "x", count: 64)]) }
    }

    // MARK: in the chat

    @Loop private func cluster(
        moderation: String? = nil, _ setUp: @Loop (Application) throws -> Void = { _ in }
    ) async throws -> TestCluster {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("moderation-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: folder) } }
        let servers = """
            {"development": {
              "connector": [
                {"id": "connector-1", "host": "127.0.0.1", "port": 4001, "clientPort": 3001, "frontend": true},
                {"id": "connector-2", "host": "127.0.0.1", "port": 4002, "clientPort": 3002, "frontend": true}],
              "chat": [{"id": "chat-1", "host": "127.0.0.1", "port": 6001}]}}
            """
        let files =
            [
                ("servers", servers),
                ("master", #"{"development": {"id": "master-1", "host": "127.0.0.1", "port": 3005}}"#),
            ]
            + [("moderation", moderation)].compactMap { name, text in text.map { (name, $0) } }
        for (name, text) in files {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name).json"))
        }
        let cluster = try TestCluster(configuration: folder)
        let (channels, users) = (MemoryChannelStore.Entries(), MemoryStatusStore.Entries())
        try await cluster.startAll { app in
            try app.use(Extensions())
            var channel = GlobalChannel.Options()
            channel.goneServerType = .chat
            try app.use(GlobalChannel(store: MemoryChannelStore(channels), options: channel))
            Rooms.follow(app)
            var status = Status.Options()
            status.singleSession = .refuse
            try app.use(Status(store: MemoryStatusStore(users), options: status))
            app.route(.chat, by: "rid")
            if app.serverType == .connector { try app.handle(EntryHandler(app: app)) }
            if app.serverType == .chat {
                let closed = try Moderation.begin(app)
                try app.handle(ChatHandler(app: app, closedRooms: closed))
                try app.handle(ChatRemote(app: app))
            }
            try setUp(app)
        }
        return cluster
    }

    @Loop private func enter(
        _ name: String, _ cluster: TestCluster, room: String = "hall", at frontend: ServerID = "connector-1"
    ) async throws -> TestSocket {
        let client = try #require(cluster.connect(frontend))
        let answer = await client.ask(
            ChatAPI.enter.route.text, ["username": .string(name), "rid": .string(room)])
        #expect(answer?.contains(name) == true, "\(answer ?? "nothing")")
        return client
    }

    @Loop private func say(_ said: JSON, _ client: TestSocket, to target: String = "*", id: JSON? = nil) async
        -> String?
    {
        var body: JSONObject = ["content": said, "target": .string(target)]
        body["client_msg_id"] = id
        return await client.ask(ChatAPI.send.route.text, .object(body))
    }

    @Loop private func heard(_ client: TestSocket, _ route: String = "onChat") -> [String] {
        client.takeBodies(of: route).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Two guests in a room, ann and bob, at two connectors.
    @Loop private func hall(_ cluster: TestCluster) async throws -> (ann: TestSocket, bob: TestSocket) {
        let ann = try await enter("ann", cluster)
        let bob = try await enter("bob", cluster, at: "connector-2")
        await cluster.settle()
        return (ann, bob)
    }

    @Test @Loop func theWordsOfTheFileAreHiddenFromEverybody() async throws {
        let cluster = try await cluster(moderation: #"{"development": {"words": ["darn"]}}"#)
        let (ann, bob) = try await hall(cluster)
        let after = Journal<JSON>()
        cluster["chat-1"].extensions.follow(.afterSend, as: "test") { after.note($0.data["body"] ?? .null) }
        #expect(await say("oh DARN", ann) == "{}")
        #expect(await say("darn you", ann, to: "bob") == "{}")
        #expect(await say("hello", ann) == "{}")
        await cluster.settle()
        #expect(
            heard(bob) == [
                #"{"msg":"oh ***","from":"ann","target":"*"}"#, #"{"msg":"*** you","from":"ann","target":"bob"}"#,
                #"{"msg":"hello","from":"ann","target":"*"}"#,
            ])
        #expect(heard(ann).first == #"{"msg":"oh ***","from":"ann","target":"*"}"#)
        #expect(after.entries == ["oh ***", "*** you", "hello"])
        await cluster.stopAll()
    }

    @Test @Loop func withoutAFileNobodyIsAsked() async throws {
        let cluster = try await cluster()
        let (ann, bob) = try await hall(cluster)
        #expect(!cluster["chat-1"].extensions.isImplemented(.beforeSend))
        #expect(await say("darn", ann) == "{}")
        await cluster.settle()
        #expect(heard(bob) == [#"{"msg":"darn","from":"ann","target":"*"}"#])
        await cluster.stopAll()
    }

    @Test(arguments: [
        (#"{"development": {"word": ["x"]}}"#, "moderation.json"), (#"{"development": {"words": "x"}}"#, "words"),
        (#"{"development": {"words": [""]}}"#, "1 to 64 bytes"),
    ])
    @Loop func aFileThatIsWrongStopsTheStart(_ file: String, _ says: String) async throws {
        let text = await failureText { _ = try await cluster(moderation: file) }
        #expect(text.contains(says), "\(text)")
    }

    @Test @Loop func pluginsSeeWhatIsSaidAndWhereItGoes() async throws {
        let seen = Journal<(key: String, data: JSON)>()
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeSend, as: "test") { event in
                seen.note((event.key, event.data))
                return .ok
            }
        }
        let (ann, bob) = try await hall(cluster)
        _ = await say(["text": "hi"], ann, id: "m-1")
        _ = await say("psst", bob, to: "ann", id: .string(String(repeating: "x", count: 127)))
        _ = await say("psst", ann, to: "bob")
        #expect(
            seen.entries.map(\.data) == [
                ["channel": "hall", "from": "ann", "body": ["text": "hi"], "meta": [:], "client_msg_id": "m-1"],
                ["channel": "hall", "from": "bob", "body": "psst", "meta": ["to": "ann"]],
                ["channel": "hall", "from": "ann", "body": "psst", "meta": ["to": "bob"]],
            ])
        #expect(seen.entries.map(\.key) == ["hall", "ann*hall bob*hall", "ann*hall bob*hall"])
        await cluster.stopAll()
    }

    @Test(arguments: [
        (ExtensionAnswer.drop, "{}", []), (.refuse("no"), #"{"code":403,"message":"no"}"#, []),
        (.replace(["body": "other"]), "{}", ["other"]), (.replace(["x": 1]), "{}", ["hi"]), (.ok, "{}", ["hi"]),
        (.replace(["body": .string(String(repeating: "x", count: 16_383))]), #"{"code":413}"#, []),
    ])
    @Loop func whatAPluginAnswersDecides(_ answer: ExtensionAnswer, _ reply: String, _ told: [JSON]) async throws {
        let after = Journal<JSON>()
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeSend, as: "test") { _ in answer }
            app.extensions.follow(.afterSend, as: "test") { after.note($0.data) }
        }
        let (ann, bob) = try await hall(cluster)
        #expect(await say("hi", ann) == reply)
        await cluster.settle()
        #expect(try heard(bob).map { try JSON.parse(Bytes($0.utf8))["msg"] } == told)
        // Well formed, whatever the plugin has made of the data; without a body it has judged nothing.
        var data: JSONObject = ["channel": "hall", "from": "ann", "meta": [:]]
        if let other = answer.data, other["body"] == nil { data["unmoderated"] = true }
        #expect(
            after.entries
                == told.map {
                    data["body"] = $0
                    return .object(data)
                })
        await cluster.stopAll()
    }

    @Test @Loop func whatNobodyHasJudgedSaysSo() async throws {
        let after = Journal<JSON?>()
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeSend, as: "test") { event in
                if event.data["body"] == "hang" { await app.clock.sleep(for: .seconds(60)) }
                return .ok
            }
            app.extensions.follow(.afterSend, as: "test") { after.note($0.data["unmoderated"]) }
        }
        let (ann, bob) = try await hall(cluster)
        let answers = Journal<String?>()
        for text: JSON in ["hang", "fine"] { Loop.spawn { answers.note(await self.say(text, ann)) } }
        await cluster.advance(by: .milliseconds(120))
        #expect(answers.entries.isEmpty && heard(bob).isEmpty)
        await cluster.advance(by: .milliseconds(40))
        #expect(answers.entries == ["{}", "{}"])
        let mark = #","unmoderated":true"#
        #expect(
            heard(bob) == [
                #"{"msg":"hang","from":"ann","target":"*"\#(mark)}"#,
                #"{"msg":"fine","from":"ann","target":"*"\#(mark)}"#,
            ])
        #expect(await say("later", ann) == "{}")
        await cluster.settle()
        #expect(heard(bob) == [#"{"msg":"later","from":"ann","target":"*"}"#])
        #expect(after.entries == [true, true, nil])
        await cluster.stopAll()
    }

    @Test @Loop func inAClosedRoomNothingIsSaidThatNobodyHasJudged() async throws {
        let cluster = try await cluster(moderation: #"{"development": {"closed": ["hall"]}}"#) { app in
            app.extensions.implement(.beforeSend, as: "test") { event in
                if event.data["body"] == "hang" { await app.clock.sleep(for: .seconds(60)) }
                return .ok
            }
        }
        let (ann, bob) = try await hall(cluster)
        let eve = try await enter("eve", cluster, room: "attic")
        let answers = Journal<String?>()
        for client in [ann, eve] { Loop.spawn { answers.note(await self.say("hang", client)) } }
        await cluster.advance(by: .milliseconds(160))
        let refusal = #"{"code":503,"message":"before-send-callback was not answered"}"#
        #expect(answers.entries.compactMap { $0 }.sorted() == [refusal, "{}"].sorted())
        #expect(heard(bob).isEmpty && heard(eve).count == 1)
        #expect(await say("fine", ann) == "{}")
        await cluster.settle()
        #expect(heard(bob) == [#"{"msg":"fine","from":"ann","target":"*"}"#])
        await cluster.stopAll()
    }

    @Test @Loop func aRoomKeepsItsOrderUnderSlowModeration() async throws {
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeSend, as: "test") { event in
                if event.data["body"] == "slow" { await app.clock.sleep(for: .milliseconds(60)) }
                return .ok
            }
        }
        let (ann, bob) = try await hall(cluster)
        let eve = try await enter("eve", cluster, room: "attic")
        let answers = Journal<String>()
        for (name, client, target) in [
            ("slow", ann, "*"), ("quick", bob, "*"), ("whisper", ann, "bob"), ("attic", eve, "*"),
        ] {
            Loop.spawn {
                _ = await self.say(.string(name), client, to: target)
                answers.note(name)
            }
        }
        await cluster.advance(by: .milliseconds(20))
        #expect(answers.entries == ["whisper", "attic"])
        await cluster.advance(by: .milliseconds(100))
        #expect(answers.entries == ["whisper", "attic", "slow", "quick"])
        #expect(heard(bob).map { $0.contains("slow") } == [false, true, false])
        await cluster.stopAll()
    }

    @Test @Loop func nobodyIsToldOfWhatDidNotArrive() async throws {
        let after = Journal<JSON>()
        let cluster = try await cluster { app in
            app.extensions.follow(.afterSend, as: "test") { after.note($0.data) }
        }
        let (ann, _) = try await hall(cluster)
        #expect(await say("hi", ann, to: "eve") == #"{"code":404}"#)
        await cluster.settle()
        #expect(after.entries.isEmpty)
        await cluster.stopAll()
    }

    // MARK: who may come in

    @Test @Loop func whoMayNotJoinIsToldWhyAndMayTryAnotherRoom() async throws {
        let asked = Journal<JSON>()
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeJoin, as: "test") { event in
                asked.note(event.data)
                switch event.key {
                case "vault": return .refuse("members only")
                case "void": return .drop
                default: return .ok
                }
            }
        }
        let ann = try #require(cluster.connect("connector-1"))
        let enter = ChatAPI.enter.route.text
        let refused = await ann.ask(enter, ["username": "ann", "rid": "vault"])
        #expect(refused == #"{"code":403,"message":"members only"}"#)
        #expect(await ann.ask(enter, ["username": "ann", "rid": "void"]) == #"{"code":403}"#)
        let members = await cluster["chat-1"].globalChannel.getMembersByChannelName(.connector, "vault")
        #expect(ann.session?.uid == nil && members.uids.isEmpty)
        #expect(await ann.ask(enter, ["username": "ann", "rid": "hall"]) == #"{"users":["ann"]}"#)
        #expect(asked.entries.last == ["channel": "hall", "uid": "ann*hall", "frontend": "connector-1"])
        await cluster.stopAll()
    }

    @Test @Loop func comingsAndGoingsAreTold() async throws {
        let told = Journal<String>()
        let cluster = try await cluster { app in
            for point in [ExtensionPoint.afterJoin, .afterLeave] {
                app.extensions.follow(point, as: "test") { told.note("\(point.name) \(event: $0)") }
            }
        }
        let (ann, bob) = try await hall(cluster)
        bob.disconnect()
        try await cluster.wait(for: "onLeave") { heard(ann, "onLeave").isEmpty ? nil : true }
        #expect(
            told.entries == [
                #"after-join hall {"channel":"hall","uid":"ann*hall","frontend":"connector-1"}"#,
                #"after-join hall {"channel":"hall","uid":"bob*hall","frontend":"connector-2"}"#,
                #"after-leave hall {"channel":"hall","uid":"bob*hall"}"#,
            ])
        await cluster.stopAll()
    }

    @Test @Loop func whoMayNotBindIsRefusedAsEver() async throws {
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeBind, as: "test") { event in
                event.key == "mallory*hall" ? .refuse("not you") : .ok
            }
        }
        let client = try #require(cluster.connect("connector-1"))
        let enter = ChatAPI.enter.route.text
        let refused = await client.ask(enter, ["username": "mallory", "rid": "hall"])
        #expect(refused == #"{"code":500,"error":true}"#)
        #expect(await client.ask(enter, ["username": "ann", "rid": "hall"]) == #"{"users":["ann"]}"#)
        // And whoever decides about user ids goes on to do so.
        let other = try #require(cluster.connect("connector-2"))
        #expect(await other.ask(enter, ["username": "ann", "rid": "hall"]) == #"{"code":500,"error":true}"#)
        await cluster.stopAll()
    }
}

extension DefaultStringInterpolation {
    /// An event's key and data.
    fileprivate mutating func appendInterpolation(event: ExtensionEvent) {
        appendInterpolation("\(event.key) \(event.data)")
    }
}
