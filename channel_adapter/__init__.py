"""WhatsApp-style channels on Tencent Cloud Chat Community groups."""
