// Package chatapi serves a policy in OpenAI's protocol: POST /v1/chat/completions, streamed or whole, and GET /v1/models
// (https://platform.openai.com/docs/api-reference/chat). Its place in the loop is behind whatever made the policy, and
// before everybody who wants to talk to it with the clients that they have.
//
// A request goes through three hands. It is read strictly ([Request]): what this server does not do is refused by name
// and never passed over. The chat template renders its prompt, and one running batch samples the answers to all requests
// under way: they join and leave it at every step, so a long answer keeps nobody waiting who finds a free slot. Then the
// answer is written as it comes, or when it is whole. What a request is answered depends on the request, its seed and the
// policy alone, to the bit, whoever else is served.
//
// [Serving] holds the policy that answers. When another one is promoted, [Serving.Watch] opens it and lets it take over;
// requests under way end with the policy that they began with.
package chatapi
