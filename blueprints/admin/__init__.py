"""The Admin tools: projects (General Project Information) and the Company Directory."""
