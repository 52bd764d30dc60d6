// SPDX-License-Identifier: MIT
import PomeloJSON

/// The schemas of the recordings, in the form in which they were written.
enum RecordedSchemas {
    private static let fields: JSONObject = [
        "optional string name": 2, "optional uInt32 u": 3, "optional sInt32 i": 4, "optional float f": 5,
        "optional double d": 6, "repeated uInt32 list": 7, "repeated string strs": 8,
        "message P": ["required sInt32 x": 1, "optional string t": 2], "optional P pos": 9, "repeated P poss": 10,
    ]

    static let client: JSON = ["connector.entryHandler.protoEcho": .object(fields)]

    static let server: JSON = [
        "onProto": [
            "required uInt32 code": 1, "optional string text": 2, "repeated sInt32 vals": 3,
            "message Pos": ["required float x": 1, "required double y": 2], "optional Pos pos": 4,
            "optional uInt32 big": 5,
        ],
        "connector.entryHandler.protoEcho": .object(withCode),
    ]

    private static var withCode: JSONObject {
        var all: JSONObject = ["required uInt32 code": 1]
        for (key, value) in fields { all[key] = value }
        return all
    }
}
