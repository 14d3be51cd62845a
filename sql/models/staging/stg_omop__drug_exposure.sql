with source as (
    select * from omop.drug_exposure
),

final as (
    select
        drug_exposure_id,
        person_id,
        drug_concept_id,
        drug_source_value,
        drug_source_concept_id,
        drug_type_concept_id,
        drug_exposure_start_date,
        drug_exposure_start_datetime,
        drug_exposure_end_date,
        drug_exposure_end_datetime,
        quantity,
        days_supply,
        refills,
        sig,
        route_concept_id,
        visit_occurrence_id,
        provider_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
