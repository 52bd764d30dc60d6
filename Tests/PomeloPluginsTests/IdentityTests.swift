// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloExtensions
import PomeloJSON
import Testing

@testable import PomeloPlugins

/// What plugins have said of themselves over the years.
@Suite struct IdentityTests {
    /// The three spellings of one plugin.
    static let spellings: [JSON] = [
        [
            "ret": 0, "msg": "ok", "plugin_id": "yunify-xxx", "version": "1.0",
            "addons": [["endpoint": "before-send-callback", "desc": "a note"]],
            "main_plugin": [
                [
                    "id": "plugin", "version": "1.0",
                    "endpoints": [["addons": "beforeSendCallBack", "endpoint": "/before-send-callback"]],
                ]
            ],
        ],
        [
            "ret": 0, "msg": "ok", "plugin_id": "yunify-xxx", "version": "1.0",
            "addons_points": [["addons_point": "before-send-callback", "desc": "a note"]],
            "main_plugins": [
                [
                    "id": "plugin", "version": "1.0",
                    "endpoints": [["addons_point": "beforeSendCallBack", "endpoint": "before-send-callback"]],
                ]
            ],
        ],
        [
            "res": ["ret": 0, "msg": "ok"], "plugin_id": "yunify-xxx", "version": "1.0",
            "addons_point": [["name": "before-send-callback", "desc": "a note"]],
            "implemented_plugin": [
                [
                    "plugin": ["id": "plugin", "version": "1.0"],
                    "addons": [
                        ["addons_point": "beforeSendCallBack", "implemented_endpoint": "before-send-callback"]
                    ],
                ]
            ],
        ],
    ]

    @Test(arguments: spellings) func everySpellingSaysTheSame(_ answer: JSON) throws {
        let identity = try PluginIdentity(answer)
        #expect(identity.id == "yunify-xxx")
        #expect(identity.version.description == "1.0")
        #expect(identity.points.map(\.name) == [PointName("beforeSendCallBack")])
        #expect(identity.points.first?.mode == .single)
        let binding = try #require(identity.bindings.first)
        #expect(binding.owner == "plugin" && binding.version == PluginVersion("1.0"))
        #expect(binding.endpoints.first?.point == PointName("before-send-callback"))
        #expect(binding.endpoints.first?.path == "/before-send-callback")
    }

    @Test(arguments: spellings) func whatIsKeptReadsAsItWas(_ answer: JSON) throws {
        let identity = try PluginIdentity(answer)
        #expect(try PluginIdentity(identity.json) == identity)
    }

    static let wrong: [(JSON, String)] = [
        (.null, "plugin_id is missing"),
        (["plugin_id": "a", "version": "x"], "version"),
        (["plugin_id": "a"], "version is missing"),
        (["plugin_id": 5, "version": "1"], "no text"),
        (["plugin_id": "keel", "version": "1"], "no id of a plugin"),
        (["plugin_id": "a/b", "version": "1"], "no id of a plugin"),
        (["plugin_id": "a", "version": "1", "addons": "x"], "addons is no list"),
        (["plugin_id": "a", "version": "1", "addons": [5]], "no object"),
        (["plugin_id": "a", "version": "1", "addons": [["desc": "x"]]], "addons[0]: endpoint is missing"),
        (
            ["plugin_id": "a", "version": "1", "addons": [["endpoint": "b-c"], ["endpoint": "BC"]]],
            "declared twice"
        ),
        (["plugin_id": "a", "version": "1", "addons": [["endpoint": "x", "mode": "all"]]], "mode is none"),
        (["plugin_id": "a", "version": "1", "main_plugin": [["id": "b"]]], "endpoints is missing"),
        (
            [
                "plugin_id": "a", "version": "1",
                "main_plugin": [["id": "a", "endpoints": [["addons": "x", "endpoint": "/x"]]]],
            ], "extends itself"
        ),
        (
            [
                "plugin_id": "a", "version": "1",
                "main_plugin": [["id": "b", "endpoints": [["addons": "x", "endpoint": "/x y"]]]],
            ], "is no path"
        ),
        (
            [
                "plugin_id": "a", "version": "1",
                "main_plugin": [
                    ["id": "b", "endpoints": [["addons": "x", "endpoint": "/x", "priority": 1e99]]]
                ],
            ], "priority"
        ),
    ]

    @Test(arguments: wrong) func whatIsWrongIsNamed(_ answer: JSON, _ words: String) {
        do throws(PluginAnswer) {
            let identity = try PluginIdentity(answer)
            Issue.record("taken: \(identity)")
        } catch {
            #expect(error.status == 400 && error.ret == -400)
            #expect(error.msg.contains(words), "\(error.msg)")
        }
    }

    @Test func listsAreBounded() {
        let points = (0..<65).map { JSON.object(["endpoint": .string("p\($0)")]) }
        #expect(throws: PluginAnswer.self) {
            try PluginIdentity(["plugin_id": "a", "version": "1", "addons": .array(points)])
        }
    }

    @Test func versionsCompareByTheirFirstTwoNumbers() throws {
        for text in ["1", "1.0", "v1.0.7", "1.0.3"] { #expect(PluginVersion(text) == PluginVersion("1.0"), "\(text)") }
        for text in ["", "v", "1.", ".1", "1.2.3.4", "1.x", "-1", "1 ", "9999999999", "１"] {
            #expect(PluginVersion(text) == nil, "\(text)")
        }
        let (old, new, next) = (
            try #require(PluginVersion("1.2")), try #require(PluginVersion("1.10")), try #require(PluginVersion("2.0"))
        )
        #expect(old < new && new < next)
        #expect(new.serves(old) && !old.serves(new) && !next.serves(old))
    }

    @Test func everyStatusThereWasIsRead() {
        for (value, status) in [
            ("ACTIVE", PluginStatus.active), ("STARTING", .starting), ("STOPPING", .stopping), ("FAILED", .failed),
            ("STOPPED", .stopping), (3, .active), (1, .starting), (2, .failed), (0, .failed), ("RUNNING", .active),
        ] as [(JSON, PluginStatus)] {
            #expect(PluginStatus(value) == status, "\(value)")
        }
        for value in [nil, .null, "active", "", 4, -1, true, []] as [JSON?] { #expect(PluginStatus(value) == nil) }
    }

    @Test func addressesAreOfHTTPAndNothingElse() {
        for text in [
            "http://127.0.0.1:8080", "http://plugin", "http://[::1]:80/base", "http://host:1/a/b/",
        ] { #expect(PluginAddress(text) != nil, "\(text)") }
        for text in [
            "", "https://a", "http://", "http://a:0", "http://a:65536", "http://a:x", "http://u@a", "http://a/?x",
            "http://a/#x", "http://a/../b", "http:/a", "http://a b", "http://:80", "file:///etc", "http://a:1:2",
            "http://" + String(repeating: "a", count: 300), "http://a:+80", "http://a:", "http://[::1]evil:80",
            "http://[::1", "http://[]:80", "http://[::1]:", "http://[a]:1", "http://%00:80", "http://x^:1",
            "http://\"<x>:1",
        ] { #expect(PluginAddress(text) == nil, "\(text)") }
        #expect(PluginAddress("http://a/b/")?.text == "http://a/b")
        #expect(PluginAddress("http://a//")?.text == "http://a", "read again it is the same")
    }
}
