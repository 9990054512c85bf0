-- Clients may act for a customer, and scopes may require a feature of the customer's plan.
ALTER TABLE client ADD COLUMN customer_id {id};
CREATE INDEX client_by_customer ON client (tenant_id, customer_id, id) WHERE customer_id IS NOT NULL;
ALTER TABLE scope ADD COLUMN requires {text};
