package provider

// telegram sends the token that setWebhook was given as secret_token. The name of an update is its one member besides
// update_id.
var telegram = Provider{
	Name:      "telegram",
	Title:     "Telegram Bot API",
	Doc:       "https://core.telegram.org/bots/api#setwebhook",
	Scheme:    &token{At: []place{"X-Telegram-Bot-Api-Secret-Token"}},
	Methods:   []string{"POST"},
	Event:     `[for name in keys(json) : name if name != "update_id"][0]`,
	Dedupe:    "json.update_id",
	Headers:   []string{"x-telegram-bot-api-secret-token"},
	Subscribe: &telegramSubscription,
}
