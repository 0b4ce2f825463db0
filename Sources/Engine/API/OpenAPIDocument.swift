// SPDX-License-Identifier: Apache-2.0

/// The description of the engine's API (OpenAPI 3.1): what is in it works, and what works is in it.
enum OpenAPIDocument {
  static let contentType = "application/vnd.oai.openapi+json;version=3.1"

  static let bytes = Array(text.utf8)

  private static let text = #"""
    {
      "openapi": "3.1.0",
      "info": {
        "title": "rstream Engine API",
        "version": "1.0.0",
        "description": "What is connected to an engine. Tunnels are opened and closed on control channels, not here.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
      },
      "servers": [{"url": "/api"}],
      "security": [{"bearer": []}, {"certificate": []}],
      "paths": {
        "/openapi.json": {"get": {
          "operationId": "getDescription",
          "summary": "This description",
          "security": [],
          "responses": {"200": {
            "description": "An OpenAPI document",
            "content": {"application/vnd.oai.openapi+json;version=3.1": {"schema": {"type": "object"}}}
          }}
        }},
        "/health/live": {"get": {
          "operationId": "isLive",
          "summary": "Whether the engine runs",
          "security": [],
          "responses": {"200": {"$ref": "#/components/responses/Status"}}
        }},
        "/health/ready": {"get": {
          "operationId": "isReady",
          "summary": "Whether the engine takes new clients",
          "security": [],
          "responses": {
            "200": {"$ref": "#/components/responses/Status"},
            "503": {"$ref": "#/components/responses/Status"}
          }
        }},
        "/auth": {"get": {
          "operationId": "checkCredentials",
          "summary": "Whether the token is accepted",
          "responses": {
            "200": {"$ref": "#/components/responses/Status"},
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {"$ref": "#/components/responses/Forbidden"}
          }
        }},
        "/tunnels": {"get": {
          "operationId": "listTunnels",
          "summary": "Live tunnels, the newest first",
          "parameters": [{
            "name": "params", "in": "query",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TunnelQuery"}}}
          }],
          "responses": {
            "200": {
              "description": "The tunnels that fit",
              "content": {"application/json": {"schema": {
                "type": "array", "items": {"$ref": "#/components/schemas/Tunnel"}
              }}}
            },
            "400": {"$ref": "#/components/responses/BadRequest"},
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {"$ref": "#/components/responses/Forbidden"}
          }
        }},
        "/tunnels/{id}": {"get": {
          "operationId": "getTunnel",
          "summary": "One live tunnel",
          "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
          "responses": {
            "200": {
              "description": "The tunnel",
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tunnel"}}}
            },
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {"$ref": "#/components/responses/Forbidden"},
            "404": {"$ref": "#/components/responses/NotFound"}
          }
        }},
        "/clients": {"get": {
          "operationId": "listClients",
          "summary": "Connected clients",
          "parameters": [{
            "name": "params", "in": "query",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClientQuery"}}}
          }],
          "responses": {
            "200": {
              "description": "The clients that fit",
              "content": {"application/json": {"schema": {
                "type": "array", "items": {"$ref": "#/components/schemas/Client"}
              }}}
            },
            "400": {"$ref": "#/components/responses/BadRequest"},
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {"$ref": "#/components/responses/Forbidden"}
          }
        }},
        "/sse": {"get": {
          "operationId": "watch",
          "summary": "What comes and goes, as server-sent events",
          "description": "The first event is a snapshot, state.initial; all that happens after it follows.",
          "security": [{"bearer": []}, {"certificate": []}, {"address": []}],
          "parameters": [{
            "name": "params", "in": "query",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WatchQuery"}}}
          }],
          "responses": {
            "200": {
              "description": "Events without end; the data of each is an Event",
              "content": {"text/event-stream": {"schema": {"type": "string"}}}
            },
            "400": {"$ref": "#/components/responses/BadRequest"},
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {"$ref": "#/components/responses/Forbidden"},
            "503": {"$ref": "#/components/responses/Stopping"}
          }
        }},
        "/websocket": {"get": {
          "operationId": "watchOverWebSocket",
          "summary": "What comes and goes, over WebSocket",
          "description": "Each text message of the engine is an Event, the first one the snapshot state.initial. Messages to the engine are ignored; neither extensions nor subprotocols are agreed to. A client that does not read is cut off; an engine that stops closes with the code 1001.",
          "security": [{"bearer": []}, {"address": []}],
          "parameters": [
            {
              "name": "params", "in": "query",
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WatchQuery"}}}
            },
            {"name": "Upgrade", "in": "header", "required": true, "schema": {"const": "websocket"}},
            {"name": "Connection", "in": "header", "required": true, "schema": {"const": "Upgrade"}},
            {"name": "Sec-WebSocket-Version", "in": "header", "required": true, "schema": {"const": "13"}},
            {
              "name": "Sec-WebSocket-Key", "in": "header", "required": true,
              "schema": {"type": "string", "contentEncoding": "base64", "minLength": 24, "maxLength": 24}
            }
          ],
          "responses": {
            "101": {
              "description": "WebSocket (RFC 6455) from here on",
              "headers": {
                "Upgrade": {"schema": {"const": "websocket"}},
                "Connection": {"schema": {"const": "Upgrade"}},
                "Sec-WebSocket-Accept": {"schema": {"type": "string"}}
              }
            },
            "400": {
              "description": "The parameter params or Sec-WebSocket-Key is malformed; the text says what is wrong",
              "content": {"text/plain": {"schema": {"type": "string"}}}
            },
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {
              "description": "The token lacks the permission tunnels.resources.read-only, or a page of another origin brings none",
              "content": {"text/plain": {"schema": {"type": "string"}}}
            },
            "426": {
              "description": "The request does not ask for version 13 of WebSocket",
              "headers": {
                "Upgrade": {"schema": {"const": "websocket"}},
                "Sec-WebSocket-Version": {"schema": {"const": "13"}}
              },
              "content": {"text/plain": {"schema": {"type": "string"}}}
            },
            "503": {"$ref": "#/components/responses/Stopping"}
          }
        }}
      },
      "components": {
        "securitySchemes": {
          "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "A static token or a JSON Web Token of the engine. An open engine answers without one."
          },
          "certificate": {
            "type": "mutualTLS",
            "description": "At the address in /.well-known/rstream/engine of the engine's host, and without a token."
          },
          "address": {
            "type": "apiKey", "in": "query", "name": "rstream.token",
            "description": "For browsers: a JSON Web Token that ends within the hour and permits only to look."
          }
        },
        "responses": {
          "Status": {
            "description": "How it stands",
            "content": {"application/json": {"schema": {
              "type": "object", "required": ["status"],
              "properties": {"status": {"enum": ["live", "ready", "draining", "ok"]}}
            }}}
          },
          "BadRequest": {
            "description": "The parameter params is malformed; the text says what is wrong",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "Unauthorized": {
            "description": "The token is missing or not accepted; the text says why",
            "headers": {"WWW-Authenticate": {"schema": {"const": "Bearer"}}},
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "Forbidden": {
            "description": "The token lacks the permission tunnels.resources.read-only, or is restricted to less",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "Stopping": {
            "description": "The engine is shutting down",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "NotFound": {
            "description": "There is no live tunnel with this id, or not for this token",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          }
        },
        "schemas": {
          "Tunnel": {
            "type": "object",
            "description": "What is not set, or not for this token, is left out.",
            "properties": {
              "id": {"type": "string"},
              "creation_date": {"type": "string", "format": "date-time"},
              "name": {"type": "string"},
              "type": {"enum": ["bytestream", "datagram"]},
              "publish": {"type": "boolean"},
              "protocol": {"type": "string"},
              "labels": {"type": "object", "additionalProperties": {"type": "string"}},
              "geo_ip": {"type": "array", "items": {"type": "string"}},
              "trusted_ips": {"type": "array", "items": {"type": "string"}},
              "host": {"type": "string", "deprecated": true},
              "hostname": {"type": "string"},
              "port": {"type": "integer"},
              "tls_mode": {"enum": ["terminated", "passthrough"]},
              "tls_alpns": {"type": "array", "items": {"type": "string"}},
              "tls_min_version": {"enum": ["tls1.2", "tls1.3"]},
              "tls_ciphers": {"type": "array", "items": {"type": "string"}},
              "mtls_auth": {"type": "boolean"},
              "http_version": {"type": "string"},
              "http_use_tls": {"type": "boolean", "deprecated": true},
              "upstream_tls": {"type": "boolean"},
              "token_auth": {"type": "boolean"},
              "rstream_auth": {"type": "boolean"},
              "challenge_mode": {"type": "boolean"},
              "datagram_guaranteed_delivery": {"type": "boolean"},
              "allow_cross_region_routing": {"type": "boolean"},
              "client_id": {"type": "string"},
              "user_id": {"type": "string"},
              "workspace_id": {"type": "string"},
              "project_id": {"type": "string"},
              "status": {"enum": ["online", "offline"]}
            }
          },
          "Client": {
            "type": "object",
            "description": "What is not known is left out.",
            "required": ["id", "status"],
            "properties": {
              "id": {"type": "string"},
              "status": {"enum": ["online", "offline"]},
              "user_id": {"type": "string"},
              "workspace_id": {"type": "string"},
              "project_id": {"type": "string"},
              "agent": {"type": "string"},
              "channel": {"type": "string"},
              "version": {"type": "string"},
              "os": {"type": "string"},
              "arch": {"type": "string"},
              "protocol_version": {"type": "string"}
            }
          },
          "WantedLabels": {
            "type": "object",
            "description": "All have to be there; null stands for any value.",
            "additionalProperties": {"type": ["string", "null"]}
          },
          "TunnelFilters": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
              "id": {"type": ["string", "null"]},
              "name": {"type": ["string", "null"]},
              "type": {"type": ["string", "null"]},
              "status": {"type": ["string", "null"]},
              "client_id": {"type": ["string", "null"]},
              "user_id": {"type": ["string", "null"]},
              "protocol": {"type": ["string", "null"]},
              "hostname": {"type": ["string", "null"]},
              "publish": {"type": ["boolean", "null"]},
              "http_version": {"type": ["string", "null"]},
              "labels": {"oneOf": [{"$ref": "#/components/schemas/WantedLabels"}, {"type": "null"}]}
            }
          },
          "ClientFilters": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
              "id": {"type": ["string", "null"]},
              "status": {"type": ["string", "null"]},
              "user_id": {"type": ["string", "null"]},
              "agent": {"type": ["string", "null"]},
              "channel": {"type": ["string", "null"]},
              "version": {"type": ["string", "null"]},
              "os": {"type": ["string", "null"]},
              "arch": {"type": ["string", "null"]},
              "protocol_version": {"type": ["string", "null"]},
              "labels": {"oneOf": [{"$ref": "#/components/schemas/WantedLabels"}, {"type": "null"}]}
            }
          },
          "WatchQuery": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
              "clients": {"$ref": "#/components/schemas/ClientFilters"},
              "tunnels": {"$ref": "#/components/schemas/TunnelFilters"}
            }
          },
          "Event": {
            "type": "object",
            "description": "What is deleted has the status offline.",
            "required": ["id", "type", "created_at", "object"],
            "properties": {
              "id": {"type": "string"},
              "type": {"enum": [
                "state.initial", "client.created", "client.deleted", "tunnel.created", "tunnel.deleted"
              ]},
              "created_at": {"type": "string", "format": "date-time"},
              "workspace_id": {"type": "string"},
              "project_id": {"type": "string"},
              "object": {"anyOf": [
                {
                  "type": "object",
                  "required": ["snapshot_at", "clients", "tunnels"],
                  "properties": {
                    "snapshot_at": {"type": "string", "format": "date-time"},
                    "clients": {"type": "array", "items": {"$ref": "#/components/schemas/Client"}},
                    "tunnels": {"type": "array", "items": {"$ref": "#/components/schemas/Tunnel"}}
                  }
                },
                {"$ref": "#/components/schemas/Client"},
                {"$ref": "#/components/schemas/Tunnel"}
              ]}
            }
          },
          "TunnelQuery": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
              "limit": {"type": ["integer", "null"], "minimum": 1},
              "filters": {"$ref": "#/components/schemas/TunnelFilters"}
            }
          },
          "ClientQuery": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
              "limit": {"type": ["integer", "null"], "minimum": 1},
              "filters": {"$ref": "#/components/schemas/ClientFilters"}
            }
          }
        }
      }
    }
    """#
}
