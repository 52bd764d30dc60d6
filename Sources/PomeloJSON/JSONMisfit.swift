// SPDX-License-Identifier: MIT

extension JSONCoder {
    /// What is wrong with JSON that did not fit a type, told to the one who wrote it: `rid is missing`,
    /// `items[2].count is not a whole number`.
    ///
    /// It names keys that the type asks for, never values; a key that a dictionary took from the text is a `*`.
    package static func misfit(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context): "\(name(context.codingPath + [key])) is missing"
        case .valueNotFound(_, let context): "\(name(context.codingPath)) is missing"
        case .typeMismatch(let type, let context): "\(name(context.codingPath)) is not \(noun(type))"
        case .dataCorrupted(let context): "\(name(context.codingPath)) is not valid"
        @unknown default: "the body is not valid"
        }
    }

    private static func name(_ path: [any CodingKey]) -> String {
        var text = ""
        for key in path {
            if let position = key.intValue, key is JSONKey {
                text += "[\(position)]"
            } else {
                let isForeign = (key as? JSONKey)?.isForeign == true
                text += (text.isEmpty ? "" : ".") + (isForeign ? "*" : key.stringValue)
            }
        }
        return text.isEmpty ? "the body" : text
    }

    private static func noun(_ type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryFloatingPoint.Type: "a number"
        case is any BinaryInteger.Type: "a whole number"
        case is [JSON].Type: "an array"
        case is JSONObject.Type: "an object"
        default: "valid"
        }
    }
}
