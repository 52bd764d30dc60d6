// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloJSON

/// The rules for a client's body: what pomelo accepts, without its traps.
enum RequestBody {
    /// `{}` for `null` and for text that does not parse; throws `Fault` 500 for other JSON that is no object.
    static func object(from body: Bytes) throws -> JSONObject {
        guard case .success(let json) = Result(catching: { () throws(WireError) in try JSON.parse(body) }) else {
            return JSONObject()
        }
        switch json {
        case .object(let object): return object
        case .null: return JSONObject()
        default: throw Fault(500)
        }
    }

    /// What a handler of JSON gets: the object and its route.
    static func json(from body: Bytes, of route: String) throws -> JSON {
        var object = try object(from: body)
        object["__route__"] = .string(route)
        return .object(object)
    }

    /// Decodes a typed query; the fast path reads an object straight into the type.
    ///
    /// Throws `Fault` 400 for an object that does not fit the type, with what is wrong with it.
    static func decode<Query: Decodable>(_ type: Query.Type, from body: Bytes) throws -> Query {
        let first = body.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        do {
            guard first == UInt8(ascii: "{") else {
                return try JSONCoder.decode(type, from: .object(try object(from: body)))
            }
            do {
                return try JSONCoder.decode(type, from: body)
            } catch DecodingError.dataCorrupted(let context) where context.underlyingError is WireError {
                do {
                    return try JSONCoder.decode(type, from: .object(JSONObject()))
                } catch {
                    throw Fault(400, "the body is not JSON")
                }
            }
        } catch let error as DecodingError {
            throw Fault(400, JSONCoder.misfit(error))
        }
    }
}
